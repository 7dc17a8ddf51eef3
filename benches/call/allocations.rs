//! What the chain adds to a call in allocations, counted beside the same work by hand.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says its figures"
)]

extern crate polyport_bootstrap as polyport;

mod calls;

use allocation_counter::measure;
use tokio::runtime::Builder;

use calls::{Answer, Calls};

/// What was promised.
const MOST: u64 = 12;
const TIMES: u64 = 50;

#[test]
fn the_chain_adds_at_most_twelve_allocations_to_the_work_by_hand() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let calls = runtime.block_on(Calls::new());
    let count = |call: fn(&Calls) -> Answer| {
        runtime.block_on(call(&calls));
        let counted = measure(|| {
            runtime.block_on(async {
                for _ in 0..TIMES {
                    call(&calls).await;
                }
            });
        });
        counted.count_total / TIMES
    };
    let (chain, by_hand, bare) =
        (count(Calls::through_the_chain), count(Calls::by_hand), count(Calls::bare));
    eprintln!("allocations a call: chain {chain}, by hand {by_hand}, a bare axum handler {bare}");
    assert!(chain <= by_hand + MOST, "the chain {chain}, by hand {by_hand}");
}
