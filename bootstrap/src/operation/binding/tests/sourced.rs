//! Inputs whose fields say where they come from.

use garde::Validate;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::operation::{FilePart, Input};

#[derive(Debug, PartialEq, Input, Validate)]
#[input(crate = crate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
struct Post {
    #[from(path, header = "X-User")]
    #[garde(length(min = 2))]
    user_id: String,
    #[from(query = "q", body)]
    #[serde(rename = "text", alias = "t")]
    #[garde(length(max = 5))]
    content: String,
    #[from(header)]
    client_version: Option<u32>,
    #[from(cookie = "sid")]
    session: Option<String>,
    #[from(body, query)]
    #[serde(default)]
    tags: Vec<String>,
    #[from(header = "x-flag")]
    #[serde(default)]
    flags: Vec<u8>,
    #[serde(default = "seven")]
    size: u8,
    #[serde(skip)]
    internal: u8,
}

fn seven() -> u8 {
    7
}

fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    given.iter().map(pair).collect()
}

fn post(input: &RawInput, given: &[(&'static str, &'static str)]) -> Result<Post, Fault> {
    Post::bind(&Unbound::new(input, &headers(given)))
}

fn message(input: &RawInput, given: &[(&'static str, &'static str)]) -> String {
    post(input, given).expect_err("must not bind").message().to_owned()
}

#[test]
fn each_field_comes_from_its_first_place() {
    let given = [("x-user", "eve"), ("client-version", "3"), ("cookie", "a=1; sid=s1")];
    let body = r#"{"text":"body","tags":["a"]}"#;
    let bound = post(&input(&[("userId", "tom")], "?q=query&tags=b&size=9", body), &given);
    assert_eq!(
        bound.expect("binds"),
        Post {
            user_id: "tom".to_owned(),
            content: "query".to_owned(),
            client_version: Some(3),
            session: Some("s1".to_owned()),
            tags: vec!["a".to_owned()],
            flags: vec![],
            size: 9,
            internal: 0,
        }
    );
}

#[test]
fn where_the_first_place_has_nothing_the_next_one_counts() {
    let given = [("x-user", "eve"), ("x-flag", "1"), ("x-flag", "2")];
    let bound = post(&input(&[], "?tags=b&tags=c", r#"{"t":"body"}"#), &given).expect("binds");
    assert_eq!((bound.user_id.as_str(), bound.content.as_str()), ("eve", "body"));
    assert_eq!((bound.tags, bound.flags), (vec!["b".to_owned(), "c".to_owned()], vec![1, 2]));
    assert_eq!((bound.client_version, bound.session, bound.size), (None, None, 7));
}

#[test]
fn a_body_sets_nothing_that_comes_from_elsewhere() {
    let body = r#"{"userId":"root","text":"x","clientVersion":9,"session":"s","internal":1}"#;
    let fault = message(&input(&[], "", body), &[]);
    assert_eq!(fault, "internal: is unknown; userId: is required");
    let body = body.replace(r#","internal":1"#, "");
    let bound = post(&input(&[("userId", "tom")], "", &body), &[]).expect("binds");
    assert_eq!((bound.user_id.as_str(), bound.client_version), ("tom", None));
    assert_eq!(bound.session, None);
}

#[test]
fn all_faults_are_told_by_the_names_of_the_client() {
    let given = [("x-user", "e"), ("client-version", "new"), ("x-flag", "300")];
    assert_eq!(
        message(&input(&[], "", r#"{"text":"too long","tags":[1],"color":2}"#), &given),
        "clientVersion: invalid value: string \"new\", expected u32; \
         flags[0]: invalid value: string \"300\", expected u8; \
         tags[0]: invalid type: integer `1`, expected a string; \
         color: is unknown; \
         text: length is greater than 5; \
         userId: length is lower than 2",
    );
    let twice = [("x-user", "eve"), ("x-user", "tom")];
    assert_eq!(
        message(&input(&[], "?q=a&q=b", ""), &twice),
        "userId: given more than once; text: given more than once",
    );
    assert_eq!(
        message(&input(&[("userId", "tom")], "", r#"{"text":"a","t":"b"}"#), &[]),
        "duplicate field `text`",
    );
    assert_eq!(
        message(&input(&[("userId", "tom")], "", "[1]"), &[]),
        "invalid type: sequence, expected a JSON object"
    );
}

#[test]
fn a_header_that_is_no_text_is_a_fault_of_its_field() {
    let mut given = HeaderMap::new();
    given.insert("x-user", HeaderValue::from_bytes(b"\xff\xfe").expect("is a header"));
    let input = input(&[], "?q=a", "");
    let fault = Post::bind(&Unbound::new(&input, &given)).expect_err("must not bind");
    assert_eq!(fault.message(), "userId: the value is not UTF-8");
}

#[derive(Debug, Input, Validate)]
#[input(crate = crate)]
#[garde(allow_unvalidated)]
struct Upload<T> {
    #[from(query)]
    #[garde(length(min = 1))]
    name: String,
    #[from(body)]
    file: FilePart,
    #[from(body)]
    value: T,
}

#[test]
fn fields_of_forms_and_parts_are_those_of_the_body() {
    let body = "--B\r\nContent-Disposition: form-data; name=file; filename=f\r\n\r\nbytes\r\n\
                --B\r\nContent-Disposition: form-data; name=value\r\n\r\n7\r\n\
                --B\r\nContent-Disposition: form-data; name=name\r\n\r\nhidden\r\n--B--\r\n";
    let format = BodyFormat::Multipart { boundary: "B".into() };
    let upload = RawInput { format, ..input(&[], "?name=n", body) };
    let bound: Upload<u8> = bind(&upload).expect("binds");
    assert_eq!((bound.name.as_str(), &*bound.file.bytes, bound.value), ("n", &b"bytes"[..], 7));
    let form = RawInput { format: BodyFormat::Form, ..input(&[], "?name=", "file=x&value=y") };
    assert_eq!(
        faults::<Upload<u8>>(&form),
        [
            "file: invalid type: string \"x\", expected a file of a multipart body",
            "value: invalid value: string \"y\", expected u8",
            "name: length is lower than 1",
        ],
    );
}

#[test]
fn what_reads_no_body_does_not_look_at_it() {
    #[derive(Debug, Input, Validate)]
    #[input(crate = crate)]
    #[serde(default)]
    struct Paged {
        #[from(query)]
        #[garde(range(max = 100))]
        size: u32,
    }
    impl Default for Paged {
        fn default() -> Self {
            Self { size: 20 }
        }
    }
    assert_eq!(bind::<Paged>(&input(&[], "", "not JSON")).expect("binds").size, 20);
    assert_eq!(bind::<Paged>(&input(&[], "?size=5", "")).expect("binds").size, 5);
}
