//! Tower on both sides of the chain.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use polyport::{
    Context, Fault, FaultKind, module,
    operation::{
        BoxError, Call, ChainCall, Endpoint, FaultError, OperationExt, Pipeline, Protocol, Reply,
    },
    testing::TestApp,
};
use support::calls::{alone, answer, call, fake, reason, soon, text};
use tokio::time::Instant;
use tower::{
    ServiceBuilder, ServiceExt,
    limit::ConcurrencyLimitLayer,
    load_shed::LoadShedLayer,
    retry::{Policy, RetryLayer},
    timeout::TimeoutLayer,
    util::{MapErrLayer, MapRequestLayer, MapResponseLayer},
};

struct Greeting(&'static str);

async fn greet(
    polyport::operation::Ctx(context): polyport::operation::Ctx,
) -> Result<&'static str, Fault> {
    Ok(context.value::<Greeting>().map_or("hello", |Greeting(text)| text))
}

async fn app(add: impl FnOnce(Pipeline) -> Pipeline) -> TestApp {
    let bootstrap = fake().pipeline(add).module(module("m", |m| {
        answer(m, "default", "greet", greet);
        answer(m, "default", "hang", async || -> Result<(), Fault> {
            std::future::pending().await
        });
        answer(m, "default", "refuse", async || {
            let fault = Fault::not_found("NOBODY", "nobody").with_code("E1").with_status(410);
            let fault = fault.with_retry_after(Duration::from_secs(9));
            Err::<(), _>(fault.with_details(serde_json::json!({ "id": 7 })))
        });
        Ok(())
    }));
    soon(alone(bootstrap)).await.unwrap()
}

#[tokio::test]
async fn a_layer_sees_the_request_and_the_response() {
    let greeting = MapRequestLayer::new(|call: ChainCall| {
        call.context().set(Greeting("from a layer"));
        call
    });
    let header = MapResponseLayer::new(|reply: Reply| {
        let name = http::HeaderName::from_static("x-layer");
        reply.with_header(name, http::HeaderValue::from_static("1"))
    });
    let app = app(|p| p.layer("greeting", greeting).core_layer("header", header)).await;
    let answer = call(&app, "greet").await;
    assert_eq!(text(&answer), "from a layer");
    assert_eq!(answer.unwrap().headers().unwrap()["x-layer"], "1");
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn a_fault_comes_through_layers_as_it_is_and_through_those_that_wrap_it_with_its_face() {
    #[derive(Debug)]
    struct Wraps(BoxError);
    impl std::fmt::Display for Wraps {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("wraps")
        }
    }
    impl std::error::Error for Wraps {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&*self.0)
        }
    }
    let plain = app(|p| p.layer("nothing", ServiceBuilder::new().map_err(|e: BoxError| e))).await;
    let wrapped = app(|p| p.layer("wraps", MapErrLayer::new(Wraps))).await;
    for app in [plain, wrapped] {
        let fault = call(&app, "refuse").await.unwrap_err();
        let seen = (fault.kind(), fault.status(), fault.reason(), fault.message(), fault.code());
        assert_eq!(seen, (FaultKind::NotFound, 410, "NOBODY", "nobody", Some("E1")));
        assert_eq!(fault.details().unwrap()["id"], 7);
        assert_eq!(fault.retry_after(), Some(Duration::from_secs(9)));
        soon(app.close()).await.unwrap();
    }
}

#[tokio::test]
async fn other_errors_of_layers_are_internal_faults() {
    let broken = MapErrLayer::new(|_: BoxError| std::io::Error::other("hunter2"));
    let app = app(|p| p.layer("broken", broken)).await;
    let fault = call(&app, "refuse").await.unwrap_err();
    assert_eq!((fault.kind(), fault.message()), (FaultKind::Internal, "internal error"));
    assert!(fault.find_source::<std::io::Error>().is_some());
    soon(app.close()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn towers_timeout_ends_a_call_as_a_deadline_does() {
    let app = app(|p| p.layer("timeout", TimeoutLayer::new(Duration::from_secs(3)))).await;
    let begun = Instant::now();
    let fault = call(&app, "hang").await.unwrap_err();
    assert_eq!((fault.kind(), fault.reason()), (FaultKind::DeadlineExceeded, "TIMEOUT"));
    assert_eq!(begun.elapsed().as_secs(), 3);
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_layer_limits_all_operations_together_and_a_call_that_is_dropped_frees_its_place() {
    let layer = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .into_inner();
    let app = app(|p| p.layer("one", layer)).await;
    let mut hang = Box::pin(call(&app, "hang"));
    assert!(futures_util::poll!(&mut hang).is_pending());
    let fault = call(&app, "greet").await.unwrap_err();
    assert_eq!((fault.kind(), fault.reason()), (FaultKind::Unavailable, "OVERLOADED"));
    drop(hang);
    assert_eq!(text(&call(&app, "greet").await), "hello");
    soon(app.close()).await.unwrap();
}

/// Tries three times.
#[derive(Clone)]
struct Thrice(usize);

impl Policy<ChainCall, Reply, BoxError> for Thrice {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut ChainCall,
        answer: &mut Result<Reply, BoxError>,
    ) -> Option<Ready<()>> {
        let fault = answer.as_ref().err()?.downcast_ref::<FaultError>()?;
        self.0 += 1;
        (self.0 < 3 && fault.0.kind() == FaultKind::Unavailable).then(|| ready(()))
    }

    fn clone_request(&mut self, call: &ChainCall) -> Option<ChainCall> {
        Some(call.clone())
    }
}

#[tokio::test]
async fn a_retry_goes_through_what_is_behind_it_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let bootstrap = fake().module(module("m", move |m| {
        let tries = Arc::clone(&counted);
        let fails_twice = async move || match tries.fetch_add(1, Relaxed) {
            2 => Ok("at last"),
            _ => Err(Fault::unavailable("NOT_YET", "not yet")),
        };
        let retried = fails_twice.pipeline(|p| p.layer("retry", RetryLayer::new(Thrice(0))));
        answer(m, "default", "flaky", retried);
        Ok(())
    }));
    let app = soon(alone(bootstrap)).await.unwrap();
    assert_eq!(text(&call(&app, "flaky").await), "at last");
    assert_eq!(tries.load(Relaxed), 3);
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn an_operation_with_its_own_chain_is_a_service_of_any_tower_program() {
    let app = app(|p| p).await;
    let mine = Protocol::new("mine");
    let guarded = greet.pipeline(|p| {
        p.guard(|context: &Context| match context.metadata.is_empty() {
            true => Err(Fault::unauthenticated("WHO", "who are you")),
            false => Ok(()),
        })
    });
    let endpoint = Endpoint::json(guarded);
    let endpoint = endpoint.standalone(mine, app.container()).await.unwrap();
    let new_call = || Call::new(mine, Arc::clone(endpoint.info()), app.container().clone());
    let service =
        ServiceBuilder::new().concurrency_limit(5).service(endpoint.clone().into_service());
    let refused = service.clone().oneshot(Context::new(new_call())).await;
    assert_eq!(reason(&refused), "WHO");
    let mut known = new_call();
    known.metadata.insert("x-user", "tom".parse().unwrap());
    assert_eq!(text(&service.oneshot(Context::new(known)).await), "hello");
    soon(app.close()).await.unwrap();
}
