//! What the scalars of YAML say (the core schema, YAML 1.2.2, section 10.3).

use std::borrow::Cow;

use figment::value::{Empty, Value};
use saphyr_parser::{ScalarStyle, Tag};

use super::Fault;

type Result<T> = std::result::Result<T, Fault>;

/// What a tag of YAML itself is called, `!` for the one that says nothing.
pub(super) fn known_tag(tag: &Tag) -> Option<&str> {
    let says_nothing = (tag.handle.is_empty() && tag.suffix == "!")
        || (tag.handle == "!" && tag.suffix.is_empty());
    match says_nothing {
        true => Some("!"),
        false => tag.is_yaml_core_schema().then_some(&tag.suffix),
    }
}

pub(super) fn unknown_tag(at: (usize, usize)) -> Fault {
    Fault::new(at.0, at.1, "the tag means nothing here; remove it")
}

/// The value of a scalar.
pub(super) fn scalar(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
    at: (usize, usize),
) -> Result<Value> {
    let as_text = || Value::from(text.as_ref());
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain { plain(&text) } else { as_text() });
    };
    let expected = |what: &str| Err(Fault::new(at.0, at.1, format!("expected {what}")));
    match (known_tag(tag), plain(&text)) {
        (Some("!" | "str"), _) => Ok(as_text()),
        (Some("null"), value @ Value::Empty(..)) => Ok(value),
        (Some("bool"), value @ Value::Bool(..)) => Ok(value),
        (Some("int"), value @ Value::Num(..)) if value.to_i128().is_some() => Ok(value),
        (Some("float"), value @ Value::Num(..)) => {
            Ok(text.parse::<f64>().map_or(value, Value::from))
        }
        (Some("null"), _) => expected("null"),
        (Some("bool"), _) => expected("a boolean"),
        (Some("int"), _) => expected("an integer"),
        (Some("float"), _) => expected("a number"),
        _ => Err(unknown_tag(at)),
    }
}

/// A scalar without quotes and tag.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Empty(Default::default(), Empty::Unit),
        "true" | "True" | "TRUE" => Value::from(true),
        "false" | "False" | "FALSE" => Value::from(false),
        ".nan" | ".NaN" | ".NAN" => Value::from(f64::NAN),
        _ => number(text).unwrap_or_else(|| Value::from(text)),
    }
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    if let ".inf" | ".Inf" | ".INF" = unsigned {
        return Some(Value::from(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    if let Some((digits, radix)) = unsigned
        .strip_prefix("0o")
        .map(|digits| (digits, 8))
        .or(unsigned.strip_prefix("0x").map(|digits| (digits, 16)))
    {
        let fits = unsigned == text && digits.chars().all(|digit| digit.is_digit(radix));
        return fits.then(|| i128::from_str_radix(digits, radix).ok().map(Value::from))?;
    }
    decimal(text, unsigned)
}

fn decimal(text: &str, unsigned: &str) -> Option<Value> {
    let is_digit = |character: char| character.is_ascii_digit();
    let whole = unsigned.trim_start_matches(is_digit);
    let leading_zero = unsigned.len() > 1 && unsigned.starts_with('0');
    if whole.is_empty() {
        let value =
            || text.parse::<i128>().map(Value::from).or(text.parse::<f64>().map(Value::from));
        return (!leading_zero && !unsigned.is_empty()).then(value)?.ok();
    }
    let begins = unsigned.starts_with(|c: char| c.is_ascii_digit())
        || unsigned.strip_prefix('.').is_some_and(|rest| rest.starts_with(is_digit));
    let allowed = unsigned.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    (begins && allowed).then(|| text.parse::<f64>().ok().map(Value::from))?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::config::{formats::yaml, mask::masked};

    #[test]
    fn scalars_are_read_by_the_core_schema_and_leading_zeros_are_text() {
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("null", json!(null)),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("yes", json!("yes")),
            ("7001", json!(7001)),
            ("-3", json!(-3)),
            ("+3", json!(3)),
            ("0", json!(0)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0123", json!("0123")),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("0.25", json!(0.25)),
            ("1_000", json!("1_000")),
            ("12:30", json!("12:30")),
            ("1.2.3", json!("1.2.3")),
            ("1-2", json!("1-2")),
            ("10s", json!("10s")),
            ("e5", json!("e5")),
            ("'7001'", json!("7001")),
            ("\"a\\nb\"", json!("a\nb")),
            ("!!str 7001", json!("7001")),
            ("!!int 7", json!(7)),
            ("!!float 7", json!(7.0)),
            ("! 7", json!("7")),
            ("|\n  x\n  y", json!("x\ny\n")),
            ("!!seq [1]", json!([1])),
        ] {
            let parsed = yaml::parse(&format!("a: {text}")).expect("is YAML");
            let values = masked(&parsed.values, false);
            assert_eq!(values, json!({ "a": expected }), "{text}");
        }
    }
}
