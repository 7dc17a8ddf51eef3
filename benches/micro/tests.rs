//! What the parts of a call and the container allocate, counted; and what is made of counted
//! instructions.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

extern crate polyport_bootstrap as polyport;

mod call;
mod cases;
mod container;
mod recorded;
mod turn;

use std::{collections::BTreeMap, sync::Arc};

use allocation_counter::measure;
use polyport_bootstrap::container::ContainerBuilder;

use recorded::Recorded;
use turn::Turn;

/// What one turn allocates, once it has warmed up.
fn of(turn: Option<Turn>) -> u64 {
    const TIMES: u64 = 64;
    let mut turn = turn.expect("there is such a case");
    (0..TIMES).for_each(|_| turn());
    measure(|| (0..TIMES).for_each(|_| turn())).count_total / TIMES
}

/// What each allocates and one more (two of the configuration's 41); what allocates nothing has to
/// stay so.
const MOST: [(&str, u64); 8] = [
    ("container: a singleton", 0),
    ("config: a section", 43),
    ("chain: nothing around", 6),
    ("chain: guard and interceptor", 7),
    ("binding: a query", 7),
    ("binding: a body", 7),
    ("frame: read and written", 2),
    ("http: a call through the chain", 19),
];

#[test]
fn the_parts_of_a_call_allocate_no_more_than_they_may() {
    let counted = cases::NAMES.map(|name| (name, of(cases::case(name))));
    for ((name, counts), (known, most)) in counted.iter().zip(MOST) {
        assert_eq!(*name, known, "each case has its bound");
        assert!(*counts <= most, "{name}: {counts} instead of {most}; all: {counted:?}");
    }
}

#[test]
fn the_chain_adds_few_allocations_to_the_same_work_by_hand() {
    let (chain, by_hand) = (of(call::case("polyport: the chain")), of(call::case("axum: by hand")));
    assert!(by_hand > 0, "the counter counts");
    assert!(chain <= by_hand + 2, "the chain {chain}, by hand {by_hand}");
}

trait Service: Send + Sync {}

struct Plain;

impl Service for Plain {}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

#[test]
fn a_singleton_is_resolved_without_an_allocation() {
    let mut builder = ContainerBuilder::new();
    builder.provide_value(Arc::new(Plain));
    builder.alias::<dyn Service, Plain>(|plain| plain);
    let container = builder.build().expect("fits together");
    runtime().block_on(container.get::<dyn Service>()).expect("is built");
    let counted = measure(|| {
        for _ in 0..100 {
            assert!(container.try_get::<Plain>().is_some());
            assert!(container.try_get::<dyn Service>().is_some());
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_singleton_is_got_without_an_allocation_once_it_is_built() {
    let mut builder = ContainerBuilder::new();
    builder.provide_with(async || Ok::<_, polyport_bootstrap::Error>(Plain));
    let container = builder.build().expect("fits together");
    let runtime = runtime();
    let first = measure(|| drop(runtime.block_on(container.get::<Plain>()).expect("is built")));
    assert!(first.count_total > 0, "the counter counts");
    let again = measure(|| {
        runtime.block_on(async {
            for _ in 0..100 {
                container.get::<Plain>().await.expect("is there");
            }
        });
    });
    assert_eq!(again.count_total, 0);
}

#[test]
fn a_value_of_a_call_costs_itself_and_the_future_of_an_async_factory() {
    let without = of(container::case("polyport: a call without"));
    let by_a_factory = of(container::case("polyport: a call with a scope"));
    let derived = of(container::case("polyport: a call with a derived value"));
    assert_eq!(by_a_factory - without, 2);
    assert_eq!(derived - without, 1);
}

#[test]
fn a_singleton_costs_its_handler_nothing() {
    assert_eq!(of(container::case("polyport: a handler with Inject")), 0);
    assert_eq!(of(container::case("polyport: a handler with a concrete type")), 0);
}

/// The figures in docs/container.md.
#[test]
fn the_others_allocate_what_is_told_of_them() {
    assert_eq!(of(container::case("shaku: resolve")), 0);
    assert_eq!(of(container::case("dill: get_one")), 1);
    assert_eq!(of(container::case("froodi: get (a concrete type)")), 0);
    assert_eq!(of(container::case("dill: a chained catalog with a transaction")), 14);
    assert_eq!(of(container::case("froodi: enter, get, close")), 7);
}

#[test]
fn every_name_is_that_of_a_case() {
    assert!(call::NAMES.into_iter().all(|name| call::case(name).is_some()));
    let groups = [&container::SINGLETON[..], &container::REQUEST, &container::THOUSAND];
    assert!(groups.into_iter().flatten().all(|name| container::case(name).is_some()));
}

fn counted(instructions: &[(&str, u64)]) -> Recorded {
    let instructions = instructions.iter().map(|(name, count)| ((*name).to_owned(), *count));
    let instructions: BTreeMap<_, _> = instructions.collect();
    Recorded { compiler: "rustc 1".to_owned(), profile: "release".to_owned(), instructions }
}

/// What is said, and whether that fails.
fn compared(known: Option<&Recorded>, now: &Recorded) -> (String, bool) {
    let mut out = Vec::new();
    let fails = recorded::compare(known, now, &mut out).is_err();
    (String::from_utf8(out).expect("is text"), fails)
}

#[test]
fn growth_of_more_than_three_percent_fails() {
    let known = counted(&[("a", 1000), ("b", 1000)]);
    let (said, fails) = compared(Some(&known), &counted(&[("a", 1030), ("b", 1000)]));
    assert!(!fails && said.contains("+3.0 %"), "{said}");
    let (said, fails) = compared(Some(&known), &counted(&[("a", 1031), ("b", 1000)]));
    assert!(fails && said.contains("+3.1 %"), "{said}");
}

#[test]
fn less_than_before_is_said_and_does_not_fail() {
    let (said, fails) = compared(Some(&counted(&[("a", 1000)])), &counted(&[("a", 900)]));
    assert!(!fails && said.contains("less than before: a"), "{said}");
}

#[test]
fn a_new_case_and_one_that_is_gone_are_said_and_do_not_fail() {
    let (said, fails) = compared(Some(&counted(&[("old", 5)])), &counted(&[("young", 7)]));
    assert!(!fails && said.contains("new or gone: young, old"), "{said}");
}

#[test]
fn nothing_recorded_fails_and_shows_what_was_counted() {
    let (said, fails) = compared(None, &counted(&[("a", 7)]));
    assert!(fails && said.contains("new"), "{said}");
}

#[test]
fn counts_of_another_profile_are_not_compared() {
    let known = counted(&[("a", 7)]);
    let now = Recorded { profile: "release with lto=off".to_owned(), ..known.clone() };
    assert!(compared(Some(&known), &now).1);
    let now = Recorded { compiler: "rustc 2".to_owned(), ..known.clone() };
    let (said, fails) = compared(Some(&known), &now);
    assert!(!fails && said.contains("recorded with rustc 1, counted with rustc 2"), "{said}");
}
