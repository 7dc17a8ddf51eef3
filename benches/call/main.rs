//! One HTTP call through the whole chain, side by side with the same work written by hand in an
//! axum handler, in one run: `cargo bench -p polyport-bench-call`.
//!
//! Both are called as tower services, without a socket, and both do: request id (taken or made, and
//! echoed), one guard, binding of the query, validation, the operation, and the envelope. The chain
//! has an interceptor besides.

extern crate polyport_bootstrap as polyport;

mod calls;
#[allow(dead_code, reason = "the benchmark of the container takes the rest")]
#[path = "../container/measure.rs"]
mod measure;

use std::{io::Write, rc::Rc};

use measure::Case;
use tokio::runtime::Builder;

use calls::Calls;

fn main() -> std::io::Result<()> {
    // `cargo bench` says so; `cargo test --all-targets` runs the program too, and has nothing to test.
    if !std::env::args().any(|word| word == "--bench") {
        return Ok(());
    }
    let runtime = Rc::new(Builder::new_current_thread().enable_all().build()?);
    let calls = Rc::new(runtime.block_on(Calls::new()));
    let case = |name, call: fn(&Calls) -> calls::Answer| {
        let (runtime, calls) = (Rc::clone(&runtime), Rc::clone(&calls));
        Case::batch(name, move |times| {
            runtime.block_on(async {
                for _ in 0..times {
                    std::hint::black_box(call(&calls).await);
                }
            });
        })
    };
    let cases = vec![
        case("axum: by hand", Calls::by_hand),
        case("polyport: the chain", Calls::through_the_chain),
        case("axum: a bare handler", Calls::bare),
    ];
    let mut report = measure::run("One HTTP call, from request to response", cases);
    report.difference("what the chain adds", "polyport: the chain", "axum: by hand");
    writeln!(std::io::stdout().lock(), "{report}")
}
