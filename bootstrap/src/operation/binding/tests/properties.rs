//! Whatever comes in: no panic, and no fault without an answer.

#![allow(dead_code, reason = "what is bound is not looked at")]

use std::collections::HashMap;

use garde::Validate;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::operation::{Codecs, FilePart};

#[derive(Debug, Deserialize, Validate)]
#[garde(allow_unvalidated)]
struct Anything {
    a: u8,
    #[serde(default)]
    #[garde(inner(length(max = 3)))]
    b: Vec<String>,
    c: Option<f64>,
    #[serde(default)]
    #[garde(dive)]
    d: Vec<Anything>,
    #[serde(default)]
    e: HashMap<u16, Choice>,
    f: Option<FilePart>,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

#[derive(Debug, Deserialize)]
enum Choice {
    One,
    Two(u8),
    Three { x: char, y: Box<Option<Choice>> },
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[a-f]{0,4}".prop_map(|text| format!("{text:?}")),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let key = prop_oneof!["[a-f]", "[0-9]{1,3}", Just("Two".to_owned()), Just("x".to_owned())];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec((key, inner), 0..6).prop_map(|entries| {
                let entry = |(key, value): (String, String)| format!("{key:?}:{value}");
                let entries: Vec<_> = entries.into_iter().map(entry).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

/// A refusal always says what is wrong.
fn check(input: &RawInput) {
    if bind::<Anything>(input).is_err() {
        assert!(!faults::<Anything>(input).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_json_makes_binding_panic(body in json_text()) {
        check(&json(&body));
    }

    #[test]
    fn no_bytes_as_json_make_binding_panic(body in any::<Vec<u8>>()) {
        check(&RawInput::json(body.into()));
    }

    #[test]
    fn no_form_makes_binding_panic(
        body in "([a-f]|%[0-9a-f]{2}|[=&+]){0,40}", query in "([a-f=&]|%[0-9a-f]{2}){0,20}"
    ) {
        let query = format!("?{query}");
        check(&RawInput { format: BodyFormat::Form, ..input(&[("a", "x")], &query, &body) });
    }

    #[test]
    fn no_bytes_as_multipart_make_binding_panic(
        pieces in prop::collection::vec(prop_oneof![
            Just(b"--B\r\n".to_vec()),
            Just(b"--B--\r\n".to_vec()),
            Just(b"\r\n\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"Content-Disposition: form-data; name=\"a\"".to_vec()),
            Just(b"Content-Disposition: form-data; name=f; filename=\"\\\"x\"".to_vec()),
            Just(b"Content-Disposition: form-data; name=\\\"".to_vec()),
            any::<Vec<u8>>(),
        ], 0..12)
    ) {
        let format = Codecs::default().format(b"multipart/form-data; boundary=B").expect("is known");
        check(&RawInput { format, ..RawInput::json(pieces.concat().into()) });
    }

    #[test]
    fn no_content_type_makes_the_choice_panic(text in any::<Vec<u8>>(), parameters in ".*") {
        let _ = Codecs::default().format(&text);
        let _ = Codecs::default().format(format!("multipart/form-data;{parameters}").as_bytes());
    }
}
