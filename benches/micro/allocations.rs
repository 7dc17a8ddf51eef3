//! What the parts of a call allocate, counted.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod cases;
#[allow(dead_code, reason = "the benchmark takes the rest")]
#[path = "../container/measure.rs"]
mod measure;

use allocation_counter::measure;

/// What one turn of a case allocates, once it has warmed up.
fn allocations(name: &str) -> u64 {
    const TIMES: u64 = 64;
    let mut case = cases::case(name).expect("there is such a case");
    case.turn(TIMES);
    measure(|| case.turn(TIMES)).count_total / TIMES
}

#[test]
fn the_parts_of_a_call_allocate_no_more_than_they_did() {
    let most = [0, 99, 99, 99, 99, 99, 99];
    for (name, most) in cases::NAMES.into_iter().zip(most) {
        let counted = allocations(name);
        assert!(counted <= most, "{name}: {counted} instead of {most}");
    }
}
