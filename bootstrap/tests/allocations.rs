//! What the chain adds to a call, in allocations and in time: the same work by hand beside it.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "the figures are for whoever looks at them")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::{hint::black_box, sync::Arc, time::Instant};

use allocation_counter::measure;
use async_trait::async_trait;
use bytes::Bytes;
use garde::Validate;
use polyport::{
    Container, Context, Fault, module,
    operation::{
        Call, Endpoint, Input, Interceptor, Next, OperationExt, RawInput, Reply, RequestId,
        validated,
    },
    wire::{Envelope, ReturnCode},
};
use serde::{Deserialize, Serialize};
use support::calls::{FAKE, answer, fake};

/// What the chain may add to the work by hand: it is four (the context, the futures of interceptor and
/// operation, the value), and twelve is what was promised.
const MOST: u64 = 6;
const CALLS: u32 = 200;
const BATCHES: u32 = 100;

const BODY: &[u8] = br#"{"id":7,"name":"Tom Sawyer"}"#;

#[derive(Deserialize, Validate)]
struct Question {
    #[garde(range(min = 1))]
    id: u64,
    #[garde(length(min = 1, max = 40))]
    name: String,
}

#[derive(Serialize)]
struct Answer {
    id: u64,
    greeting: String,
}

fn greet(question: Question) -> Answer {
    Answer { id: question.id, greeting: question.name }
}

async fn operation(Input(question): Input<Question>) -> Result<Answer, Fault> {
    Ok(greet(question))
}

/// Goes on, as most interceptors do.
struct Passes;

#[async_trait]
impl Interceptor for Passes {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        next.run(context).await
    }
}

fn is_allowed(context: &Context) -> Result<(), Fault> {
    match context.metadata.contains_key("x-banned") {
        true => Err(Fault::permission_denied("BANNED", "go away")),
        false => Ok(()),
    }
}

/// The call through the chain: request id, guard, interceptor, binding, validation, envelope.
async fn through_the_chain(endpoint: &Endpoint, container: &Container) -> Vec<u8> {
    let mut call = Call::new(FAKE, Arc::clone(endpoint.info()), container.clone());
    call.input = RawInput::json(Bytes::from_static(BODY));
    let context = Context::new(call);
    let reply = endpoint.call(&context).await.expect("is answered");
    let mut out = Vec::with_capacity(128);
    let (_, _, body) = reply.into_parts();
    body.write_json(&ReturnCode, context.request_id.as_str(), &mut out).expect("is JSON");
    out
}

/// The same by hand.
async fn by_hand() -> Vec<u8> {
    let request_id = RequestId::new();
    let metadata = http::HeaderMap::<http::HeaderValue>::new();
    assert!(!metadata.contains_key("x-banned"));
    let body = Bytes::from_static(BODY);
    let question: Question = serde_json::from_slice(&body).expect("binds");
    let answer = greet(validated(question).expect("is valid"));
    let mut out = Vec::with_capacity(128);
    let write = &mut |out: &mut Vec<u8>| serde_json::to_writer(out, &answer);
    ReturnCode.write_value(&mut out, request_id.as_str(), write).expect("is JSON");
    out
}

#[test]
fn the_chain_adds_no_more_allocations_than_it_may() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let bootstrap = fake().module(module("m", |m| {
        let around = operation.pipeline(|p| p.guard(is_allowed).interceptor(Passes));
        answer(m, "default", "greet", around);
        Ok(())
    }));
    // As `main` starts it: a test records every call, which takes allocations of its own.
    let app = runtime.block_on(bootstrap.start()).expect("starts");
    let (endpoint, _) = support::calls::prepared(&app, "greet", |_| {});
    let container = app.container().clone();
    let chained = || runtime.block_on(through_the_chain(&endpoint, &container));
    let handmade = || runtime.block_on(by_hand());
    assert_eq!(chained(), handmade(), "both do the same");

    let chain = measure(|| drop(black_box(chained()))).count_total;
    let hand = measure(|| drop(black_box(handmade()))).count_total;
    let (chain_time, hand_time) = (time(&chained), time(&handmade));
    eprintln!("by hand {hand} allocations, {hand_time} ns; chain {chain}, {chain_time} ns");
    assert!(hand > 0, "the counter counts");
    assert!(chain - hand <= MOST, "the chain adds {} allocations", chain - hand);
    app.stop("is measured");
    runtime.block_on(app.wait()).expect("stops");
}

/// What `Context::current` costs every call, whether or not somebody asks.
#[test]
fn the_current_call_is_set_and_found_without_an_allocation() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let container = polyport::container::ContainerBuilder::new().build().expect("is empty");
    let context = Context::anonymous("bench", container);
    let within = || runtime.block_on(context.within(async { black_box(1) }));
    let without = || runtime.block_on(async { black_box(1) });
    assert_eq!(within(), 1);
    let found = || runtime.block_on(context.within(async { Context::current().is_some() }));
    assert_eq!(
        measure(|| assert!(found())).count_total,
        measure(|| assert_eq!(without(), 1)).count_total
    );
    eprintln!("within its context {} ns, without {} ns", time(&within), time(&without));
}

/// The time of a call in the fastest of many batches, in ns: what else the machine does is not
/// counted.
fn time<T>(call: &impl Fn() -> T) -> u128 {
    let batch = || {
        let begun = Instant::now();
        for _ in 0..CALLS {
            black_box(call());
        }
        begun.elapsed().as_nanos() / u128::from(CALLS)
    };
    (0..BATCHES).map(|_| batch()).min().unwrap_or_default()
}
