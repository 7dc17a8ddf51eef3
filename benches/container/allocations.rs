//! What the container promises about allocations, counted.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use allocation_counter::measure;
use polyport_bootstrap::container::ContainerBuilder;

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
