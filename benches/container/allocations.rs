//! What the container promises about allocations, counted.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

extern crate polyport_bootstrap as polyport;

#[allow(dead_code, reason = "the benchmark takes the rest")]
mod application;
#[allow(dead_code, reason = "the benchmark takes the rest")]
mod measure;
#[allow(dead_code, reason = "the benchmark takes the rest")]
mod others;

use std::{rc::Rc, sync::Arc};

use allocation_counter::measure;
use polyport_bootstrap::container::ContainerBuilder;

use application::Application;
use measure::Case;

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

/// What one turn of `case` allocates, once it has warmed up.
fn of(mut case: Case) -> u64 {
    const TIMES: u64 = 64;
    case.turn(TIMES);
    measure(|| case.turn(TIMES)).count_total / TIMES
}

#[test]
fn a_value_of_a_call_costs_itself_and_the_future_of_an_async_factory() {
    let application = Application::new(&Rc::new(runtime()));
    let without = of(application.case("", application::without));
    let by_a_factory = of(application.case("", application::with_session));
    let derived = of(application.case("", application::with_repo));
    assert_eq!(by_a_factory - without, 2);
    assert_eq!(derived - without, 1);
}

#[test]
fn a_singleton_costs_its_handler_nothing() {
    let application = Application::new(&Rc::new(runtime()));
    assert_eq!(of(application.handler("", application::with_singleton)), 0);
    assert_eq!(of(application.handler("", application::with_clock)), 0);
}

/// The figures in docs/container.md.
#[test]
fn the_others_allocate_what_is_told_of_them() {
    assert_eq!(of(others::shaku_resolve()), 0);
    assert_eq!(of(others::dill_resolve()), 1);
    assert_eq!(of(others::froodi_resolve()), 0);
    assert_eq!(of(others::dill_request()), 14);
    assert_eq!(of(others::froodi_request()), 7);
}
