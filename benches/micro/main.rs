//! The parts of a call, each for itself, with what they allocate: `cargo bench -p
//! polyport-bench-micro`, or `… -- container` for one group; `… -- --help` has divan's options.
//!
//! Its column `fastest` is the one to compare by: what else happens on the machine can only add to
//! it. `scripts/instructions` counts the instructions of the parts, which repeat exactly.

extern crate polyport_bootstrap as polyport;

mod call;
mod cases;
mod container;
mod turn;

use divan::{AllocProfiler, Bencher};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    // `cargo bench` says so; `cargo test --all-targets` runs the program too, and has nothing to test.
    if std::env::args().any(|word| word == "--bench") {
        divan::main();
    }
}

fn run(bencher: Bencher<'_, '_>, turn: Option<turn::Turn>) {
    if let Some(turn) = turn {
        bencher.bench_local(turn);
    }
}

/// The fixed set whose instructions are counted, too.
#[divan::bench(args = cases::NAMES)]
fn parts(bencher: Bencher<'_, '_>, name: &str) {
    run(bencher, cases::case(name));
}

/// One HTTP call from request to response, without a socket.
#[divan::bench(args = call::NAMES)]
fn http_call(bencher: Bencher<'_, '_>, name: &str) {
    run(bencher, call::case(name));
}

/// One singleton, as a trait object where the container can.
#[divan::bench(args = container::SINGLETON)]
fn container_singleton(bencher: Bencher<'_, '_>, name: &str) {
    run(bencher, container::case(name));
}

/// A call with a value of its own.
#[divan::bench(args = container::REQUEST)]
fn container_request(bencher: Bencher<'_, '_>, name: &str) {
    run(bencher, container::case(name));
}

/// A thousand trivial providers, from nothing to the last value.
#[divan::bench(args = container::THOUSAND)]
fn container_thousand(bencher: Bencher<'_, '_>, name: &str) {
    run(bencher, container::case(name));
}
