//! Binding, from raw input to typed values and faults.

mod collecting;
mod extractors;
mod formats;
mod plain;
mod properties;
mod sourced;

use http::HeaderMap;
use serde_json::Value;

use super::{Bind, BodyFormat, PathParams, RawInput, Unbound};
use crate::Fault;

fn input(path: &[(&str, &str)], query: &str, body: &str) -> RawInput {
    RawInput {
        path: path.iter().copied().collect::<PathParams>(),
        uri: format!("/x{query}").parse().expect("a path"),
        body: body.to_owned().into(),
        format: BodyFormat::Json,
    }
}

fn form(body: &str) -> RawInput {
    RawInput { format: BodyFormat::Form, ..RawInput::json(body.to_owned().into()) }
}

fn json(body: &str) -> RawInput {
    RawInput::json(body.to_owned().into())
}

fn bind<T: Bind>(input: &RawInput) -> Result<T, Fault> {
    T::bind(&Unbound::new(input, &HeaderMap::new()))
}

/// The faults, as `field: message`.
fn faults<T: Bind>(input: &RawInput) -> Vec<String> {
    let Err(fault) = bind::<T>(input) else { panic!("must not bind") };
    assert_eq!((fault.status(), fault.reason()), (400, "INVALID_INPUT"));
    let details = fault.details().and_then(Value::as_array).expect("a list");
    let line = |detail: &Value| match detail["field"].as_str() {
        Some("") => detail["message"].as_str().expect("text").to_owned(),
        Some(field) => format!("{field}: {}", detail["message"].as_str().expect("text")),
        None => panic!("a fault has a field: {detail}"),
    };
    let lines: Vec<_> = details.iter().map(line).collect();
    assert_eq!(fault.message().trim_end_matches("; and more"), lines.join("; "));
    lines
}
