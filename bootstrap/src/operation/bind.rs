use bytes::Bytes;
use garde::Validate;
use http::uri::PathAndQuery;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Fault, merge};

/// How the body of a call is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BodyFormat {
    /// JSON (RFC 8259).
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// Where the input of a call is, before it is bound.
#[derive(Debug, Clone, Default)]
pub struct RawInput {
    /// The parameters of the route: `/rooms/{room}` gives `room`, percent-decoded.
    pub path: Vec<(String, String)>,
    /// The URI whose query holds further fields.
    pub query: Option<PathAndQuery>,
    /// The body, as it came.
    pub body: Bytes,
    /// How the body is written.
    pub format: BodyFormat,
}

impl RawInput {
    /// The input of a protocol whose messages are JSON and nothing else.
    #[must_use]
    pub fn json(body: Bytes) -> Self {
        Self { body, ..Self::default() }
    }
}

/// The input of an operation that takes none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoInput;

/// A type that the input of a call can be bound to: whatever is `Deserialize` and `Validate`.
///
/// Its fields are read from the route's parameters, then the query, then the body; where a name
/// stands in several, the first of these wins. Parameters, query and forms are text, which is
/// parsed as the field's type asks; `#[serde(flatten)]` and untagged types ask for none and see
/// text. A body that is no object (a list, say) is the input as a whole.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be bound from a call",
    note = "derive `serde::Deserialize` and `garde::Validate` for it"
)]
pub trait Bind: Sized + Send + 'static {
    /// Binds and validates.
    ///
    /// # Errors
    /// Returns an [`InvalidArgument`](super::FaultKind::InvalidArgument) fault that names every
    /// faulty field it knows of.
    fn bind(input: &RawInput) -> Result<Self, Fault>;
}

impl Bind for NoInput {
    fn bind(_: &RawInput) -> Result<Self, Fault> {
        Ok(Self)
    }
}

impl<T> Bind for T
where
    T: DeserializeOwned + Validate<Context = ()> + Send + 'static,
{
    fn bind(input: &RawInput) -> Result<Self, Fault> {
        validated(merge::deserialize(input)?)
    }
}

/// Applies the validation rules of a bound input.
///
/// # Errors
/// Returns an [`InvalidArgument`](super::FaultKind::InvalidArgument) fault that names every field
/// that breaks a rule.
pub fn validated<T: Validate<Context = ()>>(value: T) -> Result<T, Fault> {
    match value.validate() {
        Ok(()) => Ok(value),
        Err(report) => Err(invalid(
            report.iter().map(|(path, error)| (path.to_string(), error.to_string())).collect(),
        )),
    }
}

/// The fault of an input with these faulty fields: path and what is wrong with it. An empty path
/// is the input as a whole.
pub(super) fn invalid(fields: Vec<(String, String)>) -> Fault {
    let message = fields
        .iter()
        .map(|(path, message)| match path.as_str() {
            "" => message.clone(),
            path => format!("{path}: {message}"),
        })
        .collect::<Vec<_>>()
        .join("; ");
    let details =
        fields.iter().map(|(path, message)| json!({ "field": path, "message": message })).collect();
    Fault::invalid_argument("INVALID_INPUT", message).with_details(details)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize, Validate)]
    #[serde(rename_all = "camelCase")]
    #[garde(allow_unvalidated)]
    struct Post {
        room: String,
        #[garde(length(min = 1))]
        from: String,
        limit: Option<u32>,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default)]
        is_urgent: bool,
    }

    fn input(path: &[(&str, &str)], query: &str, body: &str) -> RawInput {
        RawInput {
            path: path.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            query: Some(format!("/x{query}").parse().expect("a path")),
            body: Bytes::copy_from_slice(body.as_bytes()),
            format: BodyFormat::Json,
        }
    }

    fn message(input: RawInput) -> String {
        let fault = Post::bind(&input).expect_err("must not bind");
        assert_eq!(fault.status(), 400);
        fault.message().to_owned()
    }

    #[test]
    fn fields_come_from_path_query_and_body() {
        let bound = Post::bind(&input(
            &[("room", "lobby")],
            "?limit=50&tags=a&tags=b%20c&isUrgent=true",
            r#"{"from":"tom","room":"hidden by the path","limit":1}"#,
        ));
        assert_eq!(
            bound.expect("binds"),
            Post {
                room: "lobby".to_owned(),
                from: "tom".to_owned(),
                limit: Some(50),
                tags: vec!["a".to_owned(), "b c".to_owned()],
                is_urgent: true,
            }
        );
    }

    #[test]
    fn a_form_binds_like_a_query() {
        let mut form = input(&[("room", "lobby")], "", "from=tom+x&limit=3");
        form.format = BodyFormat::Form;
        let bound = Post::bind(&form).expect("binds");
        assert_eq!((bound.from.as_str(), bound.limit), ("tom x", Some(3)));
    }

    #[test]
    fn without_query_and_path_json_binds_directly() {
        let bound = Post::bind(&RawInput::json(Bytes::from_static(
            br#"{"room":"r","from":"tom","limit":null}"#,
        )));
        assert_eq!(bound.expect("binds").limit, None);
    }

    #[test]
    fn faults_name_the_field() {
        assert_eq!(message(input(&[], "", "")), "missing field `room`");
        assert_eq!(message(input(&[], "?room=a&from=", "")), "from: length is lower than 1");
        assert_eq!(
            message(input(&[("room", "a")], "?limit=many", r#"{"from":"tom"}"#)),
            "limit: invalid value: string \"many\", expected u32",
        );
        assert_eq!(
            message(input(&[("room", "a")], "", r#"{"from":7}"#)),
            "from: invalid type: integer `7`, expected a string at line 1 column 9",
        );
        assert!(message(input(&[("room", "a")], "", "{")).starts_with("EOF while parsing"));
        assert!(message(input(&[], "", "{\"room\":")).starts_with("room: EOF while parsing"));
        assert!(message(input(&[("room", "a")], "", r#"{"from":"x"} y"#)).contains("trailing"));
    }

    #[test]
    fn a_form_of_a_hundred_thousand_names_takes_no_longer_than_its_length() {
        let names: Vec<_> = (0..100_000).map(|number| format!("{number}=")).collect();
        let mut form = input(&[("room", "a")], "", &names.join("&"));
        form.format = BodyFormat::Form;
        let begun = std::time::Instant::now();
        Post::bind(&form).expect_err("from is missing");
        // Quadratic work would take minutes.
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }

    #[test]
    fn many_names_are_told_apart() {
        let query: Vec<_> = (0..40).map(|number| format!("n{number}=x")).collect();
        let query = format!("?{}&from=tom&limit=1&limit=2&room=hidden", query.join("&"));
        let bound = Post::bind(&input(&[("room", "a")], &query, "")).expect("binds");
        assert_eq!((bound.room.as_str(), bound.from.as_str(), bound.limit), ("a", "tom", Some(2)));
    }

    #[test]
    fn a_body_that_is_no_object_is_the_input_as_a_whole() {
        #[derive(Debug, PartialEq, Deserialize, Validate)]
        struct Numbers(#[garde(skip)] Vec<u32>);
        let bound = Numbers::bind(&input(&[], "?trace=1", " [1, 2]"));
        assert_eq!(bound.expect("binds"), Numbers(vec![1, 2]));
    }

    #[test]
    fn numbers_in_text_are_finite_as_in_json() {
        #[derive(Debug, Deserialize, Validate)]
        struct Ratio {
            #[garde(skip)]
            ratio: f64,
        }
        assert_eq!(Ratio::bind(&input(&[], "?ratio=1e3", "")).expect("binds").ratio, 1000.0);
        for text in ["NaN", "inf", "-infinity"] {
            Ratio::bind(&input(&[], &format!("?ratio={text}"), "")).expect_err(text);
        }
    }

    #[test]
    fn an_operation_without_input_ignores_the_body() {
        assert_eq!(NoInput::bind(&input(&[], "?x=1", "not JSON")).expect("binds"), NoInput);
    }
}
