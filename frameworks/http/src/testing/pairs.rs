//! Names and values, as queries and forms have them.

use std::fmt::Write;

use polyport_bootstrap::{Error, Result};
use serde::Serialize;
use serde_json::Value;

/// A value as `application/x-www-form-urlencoded`: a struct or map, whose lists repeat their name
/// and whose nulls are left out, or a list of pairs.
pub(super) fn encode(value: &(impl Serialize + ?Sized)) -> Result<String> {
    let mut text = String::new();
    match serde_json::to_value(value)? {
        Value::Object(fields) => {
            for (name, value) in &fields {
                add(&mut text, name, value)?;
            }
        }
        Value::Array(pairs) => {
            for pair in &pairs {
                add(&mut text, pair[0].as_str().ok_or_else(no_pairs)?, &pair[1])?;
            }
        }
        _ => return Err(no_pairs()),
    }
    Ok(text)
}

fn add(text: &mut String, name: &str, value: &Value) -> Result<()> {
    match value {
        Value::Null => {}
        Value::Array(values) => {
            for value in values.iter().filter(|value| !value.is_array()) {
                add(text, name, value)?;
            }
        }
        Value::Object(_) => return Err(no_pairs().context(name.to_owned())),
        Value::String(value) => add_text(text, name, value),
        other => add_text(text, name, &other.to_string()),
    }
    Ok(())
}

fn add_text(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push('&');
    }
    escape(text, name);
    text.push('=');
    escape(text, value);
}

fn escape(text: &mut String, part: &str) {
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            // Writing to a string does not fail.
            byte => drop(write!(text, "%{byte:02X}")),
        }
    }
}

fn no_pairs() -> Error {
    Error::other("the value is no set of names and values").advise(
        "give a struct or map of texts, numbers, booleans and lists of them, or a list of pairs",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn structs_maps_and_pairs_are_names_and_values() {
        let value = json!({ "a": [1, true], "b c": "x&y=ä", "none": null });
        assert_eq!(encode(&value).expect("fits"), "a=1&a=true&b%20c=x%26y%3D%C3%A4");
        assert_eq!(encode(&[("q", "1"), ("q", "2")]).expect("fits"), "q=1&q=2");
        for wrong in [json!(1), json!({ "a": { "b": 1 } }), json!([1])] {
            assert!(encode(&wrong).is_err(), "{wrong}");
        }
    }
}
