//! Environment variables as configuration: `POLYPORT__HTTP__PORT=7001` is `http.port`.

use std::ffi::OsString;

use figment::{
    providers::{Format as _, Json, Toml},
    value::{Dict, Value},
};

use super::{
    layers::{Entry, Layer, Source},
    tree::{self, MAX_DEPTH},
};
use crate::{Error, Result};

const PREFIX: &str = "POLYPORT__";
const SEPARATOR: &str = "__";

/// The entries of all variables with the prefix, by name; the others are not ours.
pub(super) fn entries(variables: &[(OsString, OsString)]) -> (Vec<Entry>, Vec<Error>) {
    let named = variables.iter().map(|(name, raw)| (name.to_string_lossy(), raw));
    let mut ours: Vec<_> = named.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    let (mut entries, mut errors) = (Vec::<Entry>::new(), Vec::new());
    for (name, raw) in ours {
        match entry(&name, raw).and_then(|entry| unrivalled(&entries, entry)) {
            Ok(entry) => entries.push(entry),
            Err(error) => errors.push(error.context(format!("environment variable {name}"))),
        }
    }
    (entries, errors)
}

/// The variable that sets the value at `path`, if one can.
pub(super) fn name_for<S: AsRef<str>>(path: &[S]) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let sets = |segment: &S| {
        let segment = segment.as_ref();
        let split =
            segment.contains(SEPARATOR) || segment.starts_with('_') || segment.ends_with('_');
        !segment.is_empty() && !split && segment.bytes().all(fits)
    };
    let upper: Vec<_> = path.iter().map(|segment| segment.as_ref().to_ascii_uppercase()).collect();
    (!path.is_empty() && path.iter().all(sets))
        .then(|| format!("{PREFIX}{}", upper.join(SEPARATOR)))
}

fn entry(name: &str, raw: &OsString) -> Result<Entry> {
    let raw =
        raw.clone().into_string().map_err(|_| Error::configuration("the value is not Unicode"))?;
    let key = name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase();
    let path: Vec<String> = key.split(SEPARATOR).map(str::to_owned).collect();
    if path.iter().any(|segment| segment.is_empty() || segment.contains('.')) {
        return Err(Error::configuration("the name has an empty part, or one with a dot")
            .advise("write it as POLYPORT__SECTION__KEY"));
    }
    let values = tree::nest_checked(&path, parse(&raw)?)?;
    let source = Source::Variable { name: name.to_owned(), raw: Some(raw), path };
    Ok(Entry::new(Layer::Variable, source, values))
}

/// Refuses an entry whose name differs from an earlier one's in case only.
fn unrivalled(entries: &[Entry], entry: Entry) -> Result<Entry> {
    let rival = entries.iter().find(|other| path(other) == path(&entry));
    let Some(Source::Variable { name, .. }) = rival.map(|rival| &rival.source) else {
        return Ok(entry);
    };
    Err(Error::configuration(format!("{name} sets the same key"))
        .advise("keep one of them, in capitals"))
}

fn path(entry: &Entry) -> &[String] {
    match &entry.source {
        Source::Variable { path, .. } => path,
        Source::Named(_) | Source::File(_) => &[],
    }
}

/// As [`parse`]; what is none of it is text.
pub(super) fn parse_or_text(raw: &str) -> Value {
    parse(raw)
        .ok()
        .filter(|value| tree::depth(value) < MAX_DEPTH)
        .unwrap_or_else(|| Value::from(raw))
}

/// A value as TOML writes it: `7001`, `true`, `1.5`, `"text"`, `["a", "b"]`, `{ a = 1 }`; arrays
/// and tables also as JSON. Everything else is text, quotes or not.
fn parse(raw: &str) -> Result<Value> {
    let text = raw.trim();
    let value = match text.chars().next() {
        Some('[' | '{') => match toml_value(text).or_else(|| Json::from_str(text).ok()) {
            Some(value) => value,
            None if is_meant_as_collection(text) => return Err(unclosed(text)),
            None => Value::from(raw),
        },
        Some('"' | '\'') => toml_value(text).unwrap_or_else(|| Value::from(raw)),
        // In TOML a comment would begin there; in a variable it is part of the value.
        _ if text.contains(['#', '\n', '\r']) => Value::from(raw),
        _ => toml_value(text).filter(is_scalar).unwrap_or_else(|| Value::from(raw)),
    };
    Ok(tree::normalise(value))
}

fn toml_value(text: &str) -> Option<Value> {
    let mut table = Toml::from_str::<Dict>(&format!("value = {text}")).ok()?;
    let value = table.remove("value")?;
    table.is_empty().then_some(value)
}

/// Dates stay text.
fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::Bool(..) | Value::Num(..))
}

/// Not `[::1]:7001`, which is an address.
fn is_meant_as_collection(text: &str) -> bool {
    let close = if text.starts_with('[') { ']' } else { '}' };
    text.ends_with(close) || !text.contains(close)
}

/// The value is not shown: it may be a secret.
fn unclosed(text: &str) -> Error {
    let kind = if text.starts_with('[') { "an array" } else { "a table" };
    Error::configuration(format!("the value begins like {kind} and is not one")).advise(
        "write arrays as [\"a\", \"b\"] and tables as { key = 1 }, and put text that begins so in quotes",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_as_toml_and_anything_else_is_text() {
        for (raw, expected) in [
            ("7001", json!(7001)),
            (" 7001 ", json!(7001)),
            ("-3", json!(-3)),
            ("true", json!(true)),
            ("1.5", json!(1.5)),
            ("\"7001\"", json!("7001")),
            ("'it'", json!("it")),
            ("[1, 2]", json!([1, 2])),
            (r#"["a","b"]"#, json!(["a", "b"])),
            ("{ a = 1 }", json!({"a": 1})),
            (r#"{"a": [1]}"#, json!({"a": [1]})),
            ("", json!("")),
            (" ", json!(" ")),
            ("10s", json!("10s")),
            ("007", json!("007")),
            ("trueish", json!("trueish")),
            ("12#34", json!("12#34")),
            ("a b", json!("a b")),
            ("[::1]:7001", json!("[::1]:7001")),
            ("\"open", json!("\"open")),
            ("1979-05-27", json!("1979-05-27")),
            ("1\nx = 2", json!("1\nx = 2")),
            ("amqp://u:p@h/%2f", json!("amqp://u:p@h/%2f")),
        ] {
            let value = parse(raw).unwrap();
            assert_eq!(super::super::mask::masked(&value, false), {
                if raw.starts_with("amqp") { json!("amqp://u:***@h/%2f") } else { expected }
            });
        }
    }

    #[test]
    fn a_collection_that_is_not_one_is_an_error_without_the_value() {
        for raw in ["[1, 2", "[1 2]", "{ a = }", "{a", "[hunter2]", &"[".repeat(100_000)] {
            let error = format!("{:?}", parse(raw).unwrap_err());
            assert!(error.contains("and is not one"), "{error}");
            assert!(!error.contains("hunter2"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_unicode_is_an_error_only_where_it_is_ours() {
        use std::os::unix::ffi::OsStringExt;
        let raw = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let variables = vec![
            (raw(b"\xff"), raw(b"a")),
            (raw(b"OTHER"), raw(b"\xff")),
            (raw(b"POLYPORT__A"), raw(b"\xff")),
        ];
        let (entries, errors) = entries(&variables);
        assert!(entries.is_empty());
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, ["environment variable POLYPORT__A: the value is not Unicode"]);
    }

    #[test]
    fn a_key_tells_its_variable_where_it_has_one() {
        assert_eq!(name_for(&["users", "page_size"]).unwrap(), "POLYPORT__USERS__PAGE_SIZE");
        for path in [&["pageSize"][..], &["a__b"], &["a_", "b"], &["a-b"], &[""], &[]] {
            assert_eq!(name_for(path), None, "{path:?}");
        }
    }
}
