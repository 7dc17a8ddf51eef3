//! The cases.

use polyport::FaultKind::{self, *};
use serde_json::{Value, json};

use crate::{Case, Expected};

fn case(name: &'static str, operation: &'static str, input: Value) -> Case {
    let expected = Expected::Value(Value::Null);
    Case { name, operation, input, metadata: Vec::new(), expected }
}

impl Case {
    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.metadata.push((name, value));
        self
    }

    fn is(mut self, value: Value) -> Self {
        self.expected = Expected::Value(value);
        self
    }

    fn fails(self, kind: FaultKind, reason: &'static str) -> Self {
        self.names(kind, reason, &[])
    }

    fn names(mut self, kind: FaultKind, reason: &'static str, fields: &[&'static str]) -> Self {
        self.expected = Expected::Fault(kind, reason, fields.to_vec());
        self
    }

    fn invalid_at(self, fields: &[&'static str]) -> Self {
        self.names(InvalidArgument, "INVALID_INPUT", fields)
    }
}

pub(crate) fn cases() -> Vec<Case> {
    [binding(), extractors(), replies(), faults(), stages(), misbehaviour()].concat()
}

fn binding() -> Vec<Case> {
    let echo = |name, input| case(name, "echo", input);
    let order = |name, input| case(name, "order", input);
    vec![
        echo("a struct is bound", json!({ "text": "hi", "howOften": 2, "tags": ["a"] }))
            .is(json!({ "text": "hi", "howOften": 2, "tags": ["a"], "isUrgent": false })),
        echo("optional fields may be left out", json!({ "text": "hi" }))
            .is(json!({ "text": "hi", "tags": [], "isUrgent": false })),
        echo("null is nothing", json!({ "text": "hi", "howOften": null }))
            .is(json!({ "text": "hi", "tags": [], "isUrgent": false })),
        echo("fields that nobody wants are ignored", json!({ "text": "hi", "more": {"a": 1} }))
            .is(json!({ "text": "hi", "tags": [], "isUrgent": false })),
        echo("other alphabets survive", json!({ "text": "Grüße 你好 🎉" }))
            .is(json!({ "text": "Grüße 你好 🎉", "tags": [], "isUrgent": false })),
        echo("a missing field is named", json!({})).invalid_at(&["text"]),
        echo("a field of another type is named", json!({ "text": 5 })).invalid_at(&["text"]),
        echo("a broken rule is named", json!({ "text": "" })).invalid_at(&["text"]),
        echo("a rule names the field as the caller does", json!({ "text": "a", "howOften": 10 }))
            .invalid_at(&["howOften"]),
        echo("a number out of its type's range is named", json!({ "text": "a", "howOften": 300 }))
            .invalid_at(&["howOften"]),
        echo(
            "all faults are told at once, of binding and of rules",
            json!({ "text": "", "howOften": "x", "tags": ["long one"], "isUrgent": 1 }),
        )
        .invalid_at(&["howOften", "isUrgent", "tags[0]", "text"]),
        order(
            "nested structs are bound",
            json!({ "buyer": { "name": "Tom", "kind": "person" }, "items": [{ "id": 1 }] }),
        )
        .is(json!({ "buyer": { "name": "Tom", "kind": "person" }, "items": [{ "id": 1 }] })),
        order(
            "nested faults have their path",
            json!({ "buyer": { "name": "", "kind": "robot" }, "items": [{ "id": 1 }, { "id": 0 }] }),
        )
        .invalid_at(&["buyer.kind", "buyer.name", "items[1].id"]),
        order("what is missing deep down has its path", json!({ "buyer": {}, "items": [{}] }))
            .invalid_at(&["buyer.kind", "buyer.name", "items[0].id"]),
        order("a list that is empty breaks its rule", json!({
            "buyer": { "name": "Tom", "kind": "company" }, "items": [],
        }))
        .invalid_at(&["items"]),
        case("fields come from where they say", "sourced", json!({ "text": "hi", "user": "no" }))
            .with("x-user", "tom")
            .with("x-level", "3")
            .with("cookie", "a=b; session=s1")
            .is(json!({ "user": "tom", "level": 3, "session": "s1", "text": "hi" })),
        case("the next source is asked where one has nothing", "sourced", json!({
            "text": "hi", "level": 4,
        }))
        .with("x-user", "tom")
        .is(json!({ "user": "tom", "level": 4, "session": null, "text": "hi" })),
        case("the first source that has something decides", "sourced", json!({
            "text": "hi", "level": 4,
        }))
        .with("x-user", "tom")
        .with("x-level", "5")
        .is(json!({ "user": "tom", "level": 5, "session": null, "text": "hi" })),
        case("what is missing in every source is named", "sourced", json!({}))
            .invalid_at(&["text", "user"]),
        case("faults of all sources are told at once", "sourced", json!({ "text": "" }))
            .with("x-user", "t")
            .with("x-level", "many")
            .invalid_at(&["level", "text", "user"]),
    ]
}

fn extractors() -> Vec<Case> {
    vec![
        case("headers are a struct", "who", json!({}))
            .with("x-user", "tom")
            .with("x-age", "7")
            .is(json!({ "user": "tom", "age": 7 })),
        case("a header may be left out", "who", json!({}))
            .with("x-user", "tom")
            .is(json!({ "user": "tom", "age": null })),
        case("a missing header is named", "who", json!({})).invalid_at(&["x-user"]),
        case("all faulty headers are named", "who", json!({}))
            .with("x-age", "old")
            .invalid_at(&["x-age", "x-user"]),
        case("cookies are a struct", "session", json!({}))
            .with("cookie", "theme=dark; session=abc")
            .is(json!("abc")),
        case("a missing cookie is named", "session", json!({})).invalid_at(&["session"]),
        case("the body is there as bytes", "body", json!({ "a": [1, "b"] }))
            .is(json!({ "a": [1, "b"] })),
        case("the caller's request id is taken", "request_id", json!({}))
            .with("x-request-id", "my-id-1")
            .is(json!("my-id-1")),
        case("an extractor of the application's own", "tenant", json!({}))
            .with("x-tenant", "acme")
            .is(json!("acme")),
        case("an extractor refuses", "tenant", json!({})).fails(Unauthenticated, "NO_TENANT"),
        case("twelve extractors", "twelve", json!({ "text": "hi" }))
            .with("x-user", "tom")
            .with("x-tenant", "acme")
            .is(json!({
                "counter": 7, "text": "hi", "user": "tom", "size": 5, "tenant": "acme",
                "kinds": ["http", "grpc", "amqp", "websocket"],
            })),
        case("attributes are read by type", "level", json!({}))
            .is(json!({ "closest": 2, "all": [1, 2] })),
    ]
}

fn replies() -> Vec<Case> {
    vec![
        case("no value", "unit", json!({})).is(Value::Null),
        case("no content", "no_content", json!({})).is(Value::Null),
        case("a value with a status", "answer", json!({})).is(json!("made")),
        case("bytes that are JSON", "raw", json!({})).is(json!({ "raw": [1, 2] })),
        case("bytes that are text", "text", json!({})).is(json!("plain \"text\"")),
        case("bytes that come bit by bit", "bytes", json!({})).is(json!("one two")),
        case("a status of failure is no answer", "wrong_status", json!({}))
            .fails(Internal, "INTERNAL"),
        case("a value that cannot be written", "unwritable", json!({})).fails(Internal, "INTERNAL"),
    ]
}

fn faults() -> Vec<Case> {
    let names = [
        "a fault: invalid argument",
        "a fault: unauthenticated",
        "a fault: permission denied",
        "a fault: not found",
        "a fault: already exists",
        "a fault: failed precondition",
        "a fault: resource exhausted",
        "a fault: cancelled",
        "a fault: internal",
        "a fault: unimplemented",
        "a fault: unavailable",
        "a fault: deadline exceeded",
    ];
    let of_kind = |(kind, name): (FaultKind, &'static str)| {
        case(name, "fault", json!({ "kind": kind.as_str() })).fails(kind, "AS_ASKED")
    };
    let kinds = FaultKind::ALL.into_iter().zip(names).map(of_kind);
    let others = [
        case("a fault with details", "details", json!({})).names(
            InvalidArgument,
            "OWN_DETAILS",
            &["a.b"],
        ),
        case("a derived fault", "shop", json!({ "kind": "x" })).fails(NotFound, "NO_SUCH_SHOP"),
        case("a derived fault without a reason", "shop", json!({ "kind": "closed" }))
            .fails(FailedPrecondition, "CLOSED"),
        case("an error of the application's own is internal", "broken", json!({ "kind": "x" }))
            .fails(Internal, "INTERNAL"),
        case("a fault filter maps errors of its type", "broken", json!({ "kind": "map" }))
            .fails(FailedPrecondition, "BROKEN"),
        case("a fault filter answers", "broken", json!({ "kind": "recover" }))
            .is(json!("recovered")),
        case("a panic is internal", "panics", json!({ "kind": "" })).fails(Internal, "INTERNAL"),
        case("an operation that hangs ends at its deadline", "hangs", json!({}))
            .fails(DeadlineExceeded, "DEADLINE_EXCEEDED"),
    ];
    kinds.chain(others).collect()
}

/// What a call to `stages` meets, in this order.
const STAGES: [&str; 14] = [
    "module core middleware",
    "application middleware",
    "module middleware",
    "application guard",
    "framework guard",
    "module guard",
    "operation guard",
    "injected guard",
    "application interceptor",
    "framework interceptor",
    "module interceptor",
    "operation interceptor",
    "module aspect",
    "operation aspect",
];

fn stages() -> Vec<Case> {
    let met: Vec<_> = STAGES.iter().copied().chain(["operation"]).collect();
    let whole = case("a call meets every stage in its order", "stages", json!({})).is(json!(met));
    let loud = case("an aspect changes the bound input", "loud", json!({ "text": "hi" }))
        .is(json!({ "text": "hi!", "tags": [], "isUrgent": false }));
    let answers = ["application middleware", "module interceptor"].map(|at| {
        case(name("answers itself", at), "stages", json!({}))
            .with("x-answer", at)
            .is(json!({ "by": at }))
    });
    [whole, loud].into_iter().chain(answers).collect()
}

/// Every stage refuses, breaks, panics and hangs once.
fn misbehaviour() -> Vec<Case> {
    let places = STAGES.into_iter().chain(["operation"]);
    let of_place = |at: &'static str| {
        let at_place = |what: &'static str, header: &'static str| {
            case(name(what, at), "stages", json!({})).with(header, at)
        };
        [
            at_place("refuses", "x-refuse").fails(PermissionDenied, "REFUSED"),
            at_place("breaks", "x-break").fails(Internal, "INTERNAL"),
            at_place("panics", "x-panic").fails(Internal, "INTERNAL"),
            at_place("hangs", "x-hang").fails(DeadlineExceeded, "DEADLINE_EXCEEDED"),
        ]
    };
    let extractor = [("x-refuse", PermissionDenied, "REFUSED"), ("x-panic", Internal, "INTERNAL")]
        .map(|(header, kind, reason)| {
            let title = name(header, "extractor");
            case(title, "tenant", json!({})).with(header, "extractor").fails(kind, reason)
        });
    places.flat_map(of_place).chain(extractor).collect()
}

/// `module guard refuses`.
fn name(what: &str, at: &str) -> &'static str {
    format!("{at} {what}").leak()
}
