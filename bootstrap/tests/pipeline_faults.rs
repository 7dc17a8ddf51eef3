//! What goes wrong in a chain: panics at every position, calls that are cut off, stages that go on
//! twice or never.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::time::Duration;

use async_trait::async_trait;
use polyport::{
    Context, Fault, FaultKind, module,
    operation::{
        AnyError, Aspect, FaultFilter, Guard, Interceptor, Invocation, Next, OperationExt,
        Pipeline, Reply,
    },
};
use support::{
    Log,
    calls::{Note, alone, answer, call, call_with, fake, prepared, reason, soon, text},
};
use tokio::time::Instant;

async fn hello() -> Result<&'static str, Fault> {
    Ok("hello")
}

struct Panics;

#[async_trait]
impl Guard for Panics {
    async fn check(&self, _: &Context) -> Result<(), Fault> {
        panic!("in a guard")
    }
}

#[async_trait]
impl Interceptor for Panics {
    async fn intercept(&self, _: &Context, _: Next<'_>) -> Result<Reply, Fault> {
        panic!("in an interceptor")
    }
}

#[async_trait]
impl Aspect for Panics {
    async fn around(&self, _: &Context, _: Invocation<'_>) -> Result<Reply, Fault> {
        panic!("in an aspect")
    }
}

#[async_trait]
impl FaultFilter for Panics {
    type Error = AnyError;

    async fn filter(&self, _: &Context, _: &AnyError, _: &Fault) -> Option<Result<Reply, Fault>> {
        panic!("in a filter")
    }
}

#[tokio::test]
async fn a_panic_at_whatever_position_is_an_internal_fault_that_middleware_outside_sees() {
    type Add = fn(Pipeline) -> Pipeline;
    let positions: [(&str, Add); 7] = [
        ("core", |p| p.core_middleware("panics", Panics)),
        ("middleware", |p| p.middleware("panics", Panics)),
        ("guard", |p| p.guard(Panics)),
        ("guard_now", |p| p.guard(|_: &Context| panic!("at once"))),
        ("interceptor", |p| p.interceptor(Panics)),
        ("aspect", |p| p.aspect(Panics)),
        ("filter", |p| p.guard(|_: &Context| Err(Fault::not_found("X", "x"))).fault_filter(Panics)),
    ];
    let bootstrap = fake().module(module("m", move |m| {
        for (route, add) in positions {
            answer(m, "default", route, hello.pipeline(add));
        }
        Ok(())
    }));
    let app = soon(alone(bootstrap)).await.unwrap();
    for (route, _) in positions {
        let answer = soon(call(&app, route)).await;
        let fault = answer.expect_err(route);
        assert_eq!((fault.kind(), fault.message()), (FaultKind::Internal, "internal error"));
        let source = fault.source_text().unwrap();
        assert!(source.starts_with("the operation panicked: "), "{route}: {source}");
    }
    soon(app.close()).await.unwrap();
}

/// Goes on twice, and answers what came the second time.
struct Twice;

#[async_trait]
impl Interceptor for Twice {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let next = next.to_owned();
        next.run(context).await.ok();
        next.run(context).await
    }
}

/// Goes on in a task of its own.
struct Elsewhere;

#[async_trait]
impl Interceptor for Elsewhere {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let (next, context) = (next.to_owned(), context.clone());
        let call = async move { context.within(next.run(&context)).await };
        tokio::spawn(call)
            .await
            .map_err(|error| Fault::internal(polyport::Error::other(error.to_string())))?
    }
}

/// Does not go on.
struct Never;

#[async_trait]
impl Interceptor for Never {
    async fn intercept(&self, _: &Context, _: Next<'_>) -> Result<Reply, Fault> {
        Ok(Reply::json("from the cache"))
    }
}

#[tokio::test]
async fn an_interceptor_goes_on_twice_elsewhere_or_not_at_all() {
    let log = Log::default();
    let own = log.clone();
    let bootstrap = fake().module(module("m", move |m| {
        let note = || Note("behind", own.clone());
        let twice = |p: Pipeline| p.middleware("twice", Twice).interceptor(note());
        answer(m, "default", "twice", hello.pipeline(twice));
        let elsewhere = |p: Pipeline| p.interceptor(Elsewhere).interceptor(note());
        answer(m, "default", "elsewhere", hello.pipeline(elsewhere));
        let never = |p: Pipeline| p.interceptor(Never).interceptor(note());
        answer(m, "default", "never", hello.pipeline(never));
        Ok(())
    }));
    let app = soon(alone(bootstrap)).await.unwrap();
    assert_eq!(text(&call(&app, "twice").await), "hello");
    assert_eq!(log.entries(), ["> behind", "< behind", "> behind", "< behind"]);
    assert_eq!(text(&soon(call(&app, "elsewhere")).await), "hello");
    assert_eq!(log.entries().len(), 6);
    assert_eq!(text(&call(&app, "never").await), "from the cache");
    assert_eq!(log.entries().len(), 6, "nothing behind it was reached");
    soon(app.close()).await.unwrap();
}

struct Hangs(Log);

#[async_trait]
impl Guard for Hangs {
    async fn check(&self, _: &Context) -> Result<(), Fault> {
        struct Dropped<'a>(&'a Log);
        impl Drop for Dropped<'_> {
            fn drop(&mut self) {
                self.0.add("dropped");
            }
        }
        let _dropped = Dropped(&self.0);
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_never_decides_ends_with_the_deadline_of_the_call() {
    let log = Log::default();
    let guard = Hangs(log.clone());
    let bootstrap = fake().pipeline(|p| p.guard(guard)).module(module("m", |m| {
        answer(m, "default", "hello", hello);
        Ok(())
    }));
    let app = alone(bootstrap).await.unwrap();
    let begun = Instant::now();
    let limit = Duration::from_secs(5);
    let answer = call_with(&app, "hello", |call| call.deadline = Some(begun + limit)).await;
    assert_eq!(reason(&answer), "DEADLINE_EXCEEDED");
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(log.entries(), ["dropped"], "what it was doing has ended");
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_context_says_how_long_its_caller_waits() {
    let bootstrap = fake().module(module("m", |m| {
        answer(m, "default", "hello", hello);
        Ok(())
    }));
    let app = soon(alone(bootstrap)).await.unwrap();
    assert_eq!(prepared(&app, "hello", |_| {}).1.remaining(), None);
    let minute = Duration::from_secs(60);
    let deadline = |at: Instant| prepared(&app, "hello", |call| call.deadline = Some(at)).1;
    let left = deadline(Instant::now() + minute).remaining().unwrap();
    assert!(left <= minute && left > minute / 2, "{left:?}");
    assert_eq!(deadline(Instant::now()).remaining(), Some(Duration::ZERO));
    soon(app.close()).await.unwrap();
}
