//! What binding a call costs, counted and measured.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{hint::black_box, time::Instant};

use allocation_counter::measure;
use garde::Validate;
use http::HeaderMap;
use polyport_bootstrap::operation::{Bind, Input, ParamNames, PathParams, RawInput, Unbound};
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Post {
    #[garde(length(min = 1))]
    room_name: String,
    #[garde(length(max = 2000))]
    text: String,
    #[garde(range(max = 100))]
    limit: Option<u32>,
}

#[derive(Debug, Input, Validate)]
#[input(crate = polyport_bootstrap)]
#[serde(rename_all = "camelCase")]
struct Placed {
    #[from(path)]
    #[garde(length(min = 1))]
    room_name: String,
    #[from(query)]
    #[garde(range(max = 100))]
    limit: u32,
    #[from(header = "x-user")]
    #[garde(ascii)]
    user: String,
}

const BODY: &str = r#"{"roomName":"lobby","text":"Hello, everybody here","limit":20}"#;

fn json() -> RawInput {
    RawInput::json(BODY.into())
}

fn query() -> RawInput {
    let query = "/x?roomName=lobby&text=Hello&limit=20".parse().expect("a path");
    RawInput { query: Some(query), ..RawInput::default() }
}

/// How many allocations one call takes.
fn allocations(of: impl Fn()) -> u64 {
    of();
    measure(of).count_total
}

fn binds<T: Bind>(input: &RawInput, metadata: &HeaderMap) {
    black_box(T::bind(&Unbound::new(input, metadata)).expect("binds"));
}

#[test]
fn a_json_body_allocates_what_its_fields_hold() {
    let (input, metadata) = (json(), HeaderMap::new());
    let by_hand = || {
        let post: Post = serde_json::from_slice(&input.body).expect("reads");
        post.validate().expect("is valid");
        black_box(post);
    };
    assert_eq!(allocations(|| binds::<Post>(&input, &metadata)), allocations(by_hand));
}

#[test]
fn a_query_allocates_what_its_fields_hold() {
    let (input, metadata) = (query(), HeaderMap::new());
    assert_eq!(allocations(|| binds::<Post>(&input, &metadata)), 2, "two texts");
}

#[test]
fn parameters_allocate_once_and_named_places_what_their_fields_hold() {
    let names: ParamNames = ["roomName", "other"].into_iter().collect();
    let decode = || PathParams::decode(&names, ["big%20lobby", "x"]).expect("decodes");
    // Of what is escaped the decoded text is made first.
    assert!(allocations(|| drop(black_box(decode()))) <= 3);
    let plain = || PathParams::decode(&names, ["lobby", "x"]).expect("decodes");
    assert_eq!(allocations(|| drop(black_box(plain()))), 1);
    let input = RawInput { path: plain(), ..query() };
    let metadata = HeaderMap::from_iter([(
        "x-user".parse().expect("a header"),
        "tom".parse().expect("a value"),
    )]);
    assert_eq!(allocations(|| binds::<Placed>(&input, &metadata)), 2, "two texts");
}

/// Nanoseconds for one call, the best of several rounds.
fn nanoseconds(of: impl Fn()) -> u128 {
    const CALLS: u128 = 100_000;
    let round = || {
        let begun = Instant::now();
        (0..CALLS).for_each(|_| of());
        begun.elapsed().as_nanos() / CALLS
    };
    (0..9).map(|_| round()).min().unwrap_or_default()
}

#[test]
#[ignore = "a measurement: needs a release build and a machine that does nothing else"]
fn a_json_body_binds_as_fast_as_by_hand() {
    let (input, metadata) = (json(), HeaderMap::new());
    let bound = nanoseconds(|| binds::<Post>(&input, &metadata));
    let by_hand = nanoseconds(|| {
        let post: Post = serde_json::from_slice(black_box(&input.body)).expect("reads");
        post.validate().expect("is valid");
        black_box(post);
    });
    let input = query();
    let from_query = nanoseconds(|| binds::<Post>(&input, &metadata));
    let figures = format!("bound {bound} ns, by hand {by_hand} ns, query {from_query} ns");
    assert!(bound <= by_hand + by_hand / 10 + 5, "{figures}");
    assert!(from_query <= 3 * by_hand, "{figures}");
}
