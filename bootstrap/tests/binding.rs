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
    let uri = "/x?roomName=lobby&text=Hello&limit=20".parse().expect("a path");
    RawInput { uri, ..RawInput::default() }
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

const CALLS: u32 = 50_000;
const ROUNDS: usize = 21;

/// Nanoseconds for one call of each, the best and the median of rounds that take turns: what else
/// the machine does then falls on all alike.
fn nanoseconds<const N: usize>(calls: [&dyn Fn(); N]) -> [(u128, u128); N] {
    let mut rounds = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (call, rounds) in calls.iter().zip(&mut rounds) {
            let begun = Instant::now();
            (0..CALLS).for_each(|_| call());
            rounds.push(begun.elapsed().as_nanos() / u128::from(CALLS));
        }
    }
    rounds.map(|mut rounds| {
        rounds.sort_unstable();
        (rounds[0], rounds[ROUNDS / 2])
    })
}

#[test]
#[ignore = "a measurement: needs a release build and a machine that does nothing else"]
#[allow(clippy::print_stdout, reason = "the figures are what it is for")]
fn a_json_body_binds_as_fast_as_by_hand() {
    let (json, query, metadata) = (json(), query(), HeaderMap::new());
    let by_hand = || {
        let post: Post = serde_json::from_slice(&black_box(&json).body).expect("reads");
        post.validate().expect("is valid");
        black_box(post);
    };
    let figures = nanoseconds([
        &by_hand,
        &|| binds::<Post>(black_box(&json), &metadata),
        &|| binds::<Post>(black_box(&query), &metadata),
        &by_hand,
    ]);
    println!("(best, median) ns: by hand, JSON body, query, by hand again: {figures:?}");
    let [by_hand, bound, ..] = figures;
    assert!(bound.0 <= by_hand.0 + by_hand.0 / 10, "{figures:?}");
}
