//! Methods whose messages no generated type describes: `google.protobuf.Struct` in,
//! `google.protobuf.Value` out, which are JSON.

use bytes::Bytes;
use polyport_bootstrap::{Error, Fault};
use prost::Message;
use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Number, Value as Json};

/// The JSON that a message is, so that it is bound as a body of the other protocols.
///
/// # Errors
/// Returns a fault where the message is no `Struct`, or has a number that JSON cannot hold.
pub(crate) fn to_json(message: Bytes) -> Result<Bytes, Fault> {
    let message = Struct::decode(message)
        .map_err(|error| malformed(format!("the message is no google.protobuf.Struct: {error}")))?;
    let json = serde_json::to_vec(&object(message)?).map_err(|error| {
        Fault::internal(Error::other("the message cannot be read as JSON").caused_by(error))
    })?;
    Ok(json.into())
}

/// The message of a value that was written as JSON.
///
/// # Errors
/// Returns an internal fault where it is not JSON, or nested too deeply.
pub(crate) fn from_json(json: &[u8]) -> Result<Value, Fault> {
    let value = serde_json::from_slice(json).map_err(|error| {
        Fault::internal(Error::other("the answer cannot be a message").caused_by(error))
    })?;
    Ok(protobuf(value))
}

fn malformed(message: String) -> Fault {
    Fault::invalid_argument("MALFORMED_MESSAGE", message)
}

fn object(message: Struct) -> Result<Json, Fault> {
    let fields = message.fields.into_iter().map(|(name, value)| Ok((name, json(value)?)));
    fields.collect::<Result<Map<_, _>, _>>().map(Json::Object)
}

fn json(value: Value) -> Result<Json, Fault> {
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::NumberValue(value)) => Json::Number(number(value)?),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => {
            Json::Array(list.values.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        Some(Kind::StructValue(message)) => object(message)?,
    })
}

/// A whole number as such, as far as a double holds every one.
fn number(value: f64) -> Result<Number, Fault> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Ok(Number::from(value as i64));
    }
    Number::from_f64(value)
        .ok_or_else(|| malformed(format!("{value} is no number that JSON can hold")))
}

fn protobuf(value: Json) -> Value {
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(value),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(protobuf).collect() })
        }
        Json::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, protobuf(value)));
            Kind::StructValue(Struct { fields: fields.collect() })
        }
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_the_way_there_and_back() {
        let value = json!({ "a": [1, 2.5, null, true, "x"], "b": { "c": -3 } });
        let Some(Kind::StructValue(message)) = protobuf(value.clone()).kind else {
            panic!("an object")
        };
        let json = to_json(message.encode_to_vec().into()).expect("is read");
        assert_eq!(serde_json::from_slice::<Json>(&json).expect("is JSON"), value);
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        let fields = [("n".to_owned(), Value { kind: Some(Kind::NumberValue(f64::NAN)) })];
        let message = Struct { fields: fields.into_iter().collect() };
        let fault = to_json(message.encode_to_vec().into()).expect_err("is refused");
        assert_eq!(fault.reason(), "MALFORMED_MESSAGE");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _ = to_json(bytes.into());
        }
    }
}
