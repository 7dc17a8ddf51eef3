//! All faults at once, as the client writes its fields.

#![allow(dead_code, reason = "what does not bind is not looked at")]

use std::{collections::HashMap, net::IpAddr, num::NonZeroU32};

use garde::Validate;
use serde::Deserialize;
use uuid::Uuid;

use super::*;

/// Reads itself from text of a certain form.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Id(Uuid);

impl TryFrom<String> for Id {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

#[derive(Debug, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Order {
    #[garde(length(min = 3))]
    user_id: String,
    #[garde(range(max = 10))]
    item_count: u32,
    #[garde(skip)]
    is_gift: bool,
    #[garde(dive)]
    lines: Vec<Line>,
    #[garde(skip)]
    note: Option<String>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[garde(ascii)]
    product_code: String,
    #[garde(range(min = 1))]
    unit_price: i64,
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let body = r#"{
        "userId": "ab",
        "itemCount": "many",
        "lines": [
            {"productCode": "a", "unitPrice": 1},
            {"productCode": 7, "unitPrice": 0},
            {"unitPrice": []}
        ],
        "note": 3,
        "colour": "red"
    }"#;
    assert_eq!(
        faults::<Order>(&json(body)),
        [
            "itemCount: invalid type: string \"many\", expected u32",
            "lines[1].productCode: invalid type: integer `7`, expected a string",
            "lines[2].unitPrice: invalid type: sequence, expected i64",
            "lines[2].productCode: is required",
            "note: invalid type: integer `3`, expected a string",
            "colour: is unknown",
            "isGift: is required",
            "lines[1].unitPrice: lower than 1",
            "userId: length is lower than 3",
        ],
    );
}

#[test]
fn rules_name_fields_as_the_client_writes_them() {
    let body = r#"{"userId":"ab","itemCount":11,"isGift":true,
        "lines":[{"productCode":"ä","unitPrice":0}]}"#;
    assert_eq!(
        faults::<Order>(&json(body)),
        [
            "itemCount: greater than 10",
            "lines[0].productCode: not ascii",
            "lines[0].unitPrice: lower than 1",
            "userId: length is lower than 3",
        ],
    );
}

#[test]
fn a_query_tells_all_of_its_faults_too() {
    assert_eq!(
        faults::<Order>(&input(&[], "?userId=a&itemCount=x&isGift=maybe", "")),
        [
            "itemCount: invalid value: string \"x\", expected u32",
            "isGift: invalid value: string \"maybe\", expected bool",
            "lines: is required",
            "userId: length is lower than 3",
        ],
    );
}

#[derive(Debug, Deserialize, Validate)]
#[garde(allow_unvalidated)]
struct Choosy {
    id: Id,
    address: IpAddr,
    count: NonZeroU32,
    kind: Kind,
    #[garde(length(min = 2))]
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Round { radius: u8 },
    Square(u8),
    Other,
}

#[test]
fn types_that_refuse_plain_placeholders_do_not_hide_other_faults() {
    assert_eq!(
        faults::<Choosy>(&json(r#"{"id":"x","address":1,"count":0,"kind":"oval","name":"a"}"#))
            .iter()
            .map(|line| line.split(':').next().unwrap_or_default())
            .collect::<Vec<_>>(),
        ["id", "address", "count", "kind", "name"],
    );
}

#[test]
fn faults_within_variants_have_their_path() {
    let of = |kind: &str| {
        let id = Uuid::nil();
        let body = format!(r#"{{"id":"{id}","address":"::1","count":1,"kind":{kind},"name":"a"}}"#);
        faults::<Choosy>(&json(&body))
    };
    let name = "name: length is lower than 2";
    assert_eq!(
        of(r#"{"round":{"radius":"x"}}"#),
        ["kind.round.radius: invalid type: string \"x\", expected u8", name],
    );
    assert_eq!(of(r#"{"round":{}}"#), ["kind.round.radius: is required", name]);
    assert_eq!(
        of(r#"{"square":-1}"#),
        ["kind.square: invalid value: integer `-1`, expected u8", name]
    );
    assert_eq!(of(r#"{"square":1}"#), [name]);
    assert_eq!(of(r#""other""#), [name]);
}

/// Refuses every value.
#[derive(Debug)]
struct Never;

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: serde::Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(value)?;
        Err(serde::de::Error::custom("never"))
    }
}

#[test]
fn a_type_that_accepts_nothing_ends_the_search_and_what_was_found_is_told() {
    #[derive(Debug, Deserialize, Validate)]
    #[garde(allow_unvalidated)]
    struct Picky {
        first: u8,
        never: Never,
        last: u8,
    }
    assert_eq!(
        faults::<Picky>(&json(r#"{"first":"x","never":1,"last":"y"}"#)),
        [
            "first: invalid type: string \"x\", expected u8",
            "never: never",
            "last: invalid type: string \"y\", expected u8",
        ],
    );
}

#[derive(Debug, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
#[garde(allow_unvalidated)]
struct Page {
    #[garde(dive)]
    #[serde(flatten)]
    cursor: Cursor,
    #[garde(dive)]
    labels_by_key: HashMap<String, Vec<Label>>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Label {
    #[garde(length(min = 2))]
    full_text: String,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Cursor {
    #[garde(range(max = 5))]
    page_size: u32,
}

#[test]
fn flattened_fields_and_maps_have_their_paths() {
    assert_eq!(
        faults::<Page>(&json(
            r#"{"pageSize":9,"labelsByKey":{"some_key":[{"fullText":"ok"},{"fullText":"x"}]}}"#
        )),
        ["pageSize: greater than 5", "labelsByKey.some_key[1].fullText: length is lower than 2"],
    );
    assert_eq!(
        faults::<Page>(&json(r#"{"labelsByKey":{"k":[{"fullText":"x"}]}}"#)),
        ["pageSize: is required", "labelsByKey.k[0].fullText: length is lower than 2"],
    );
}

#[derive(Debug, Deserialize, Validate)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
enum Shape {
    Circle {
        #[garde(range(max = 3))]
        outer_radius: u32,
    },
}

#[test]
fn fields_of_tagged_enums_are_named_as_written() {
    assert_eq!(
        faults::<Shape>(&json(r#"{"type":"Circle","outerRadius":4}"#)),
        ["outerRadius: greater than 3"],
    );
}

#[test]
fn no_more_than_64_faults_are_told() {
    #[derive(Debug, Deserialize, Validate)]
    struct Many {
        #[garde(inner(length(min = 1)))]
        texts: Vec<String>,
    }
    let empty = vec!["\"\""; 500].join(",");
    assert_eq!(faults::<Many>(&json(&format!(r#"{{"texts":[{empty}]}}"#))).len(), 64);
    let wrong = vec!["1"; 500].join(",");
    assert_eq!(faults::<Many>(&json(&format!(r#"{{"texts":[{wrong}]}}"#))).len(), 64);
}

#[test]
fn a_large_body_full_of_faults_costs_a_few_readings() {
    let wrong = vec![r#"{"unitPrice":"x"}"#; 60_000].join(",");
    let body = format!(r#"{{"userId":"abc","lines":[{wrong}]}}"#);
    let begun = std::time::Instant::now();
    let found = faults::<Order>(&json(&body));
    assert_eq!(found[0], "lines[0].unitPrice: invalid type: string \"x\", expected i64");
    // A reading for each fault would take minutes.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn what_a_fault_quotes_is_bounded() {
    let long = "x".repeat(100_000);
    let body = format!(r#"{{"userId":"abc","itemCount":"{long}","{long}":1}}"#);
    assert!(faults::<Order>(&json(&body)).iter().all(|fault| fault.len() < 600));
}

#[derive(Debug, Deserialize, Validate)]
enum Expression {
    Not(#[garde(skip)] Box<Expression>),
    True,
}

#[test]
fn placeholders_of_a_type_that_holds_itself_end() {
    #[derive(Debug, Deserialize, Validate)]
    #[garde(allow_unvalidated)]
    struct Holds {
        expression: Expression,
        count: u8,
    }
    assert_eq!(
        faults::<Holds>(&json(r#"{"expression":5,"count":"x"}"#)),
        ["expression: expected one of Not, True", "count: invalid type: string \"x\", expected u8",],
    );
}
