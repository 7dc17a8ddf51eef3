//! What a test pays for an application of its own: start and close, in memory and over sockets, in
//! one run: `cargo bench --bench testing`.
//!
//! It stands alone, since what lets a test watch an application (feature `testing`) is not to be
//! part of what other benchmarks measure.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use garde::Validate;
use polyport::{
    prelude::*,
    testing::{TestBootstrap, create_bootstrap},
};
use polyport_proto::helloworld::{HelloReply, HelloRequest};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

/// What is to be reached in memory, with all four frameworks.
const TARGET: Duration = Duration::from_millis(5);
const TIMES: usize = 200;
/// What only the first ones pay.
const WARM: usize = 10;

#[derive(Debug, Deserialize, Validate)]
struct Hello {
    #[garde(skip)]
    name: String,
}

impl From<HelloRequest> for Hello {
    fn from(message: HelloRequest) -> Self {
        Self { name: message.name }
    }
}

#[derive(Serialize)]
struct Greeting(String);

impl From<Greeting> for HelloReply {
    fn from(greeting: Greeting) -> Self {
        Self { message: greeting.0 }
    }
}

async fn hello(Input(hello): Input<Hello>) -> Result<Greeting, Fault> {
    Ok(Greeting(format!("Hello {}!", hello.name)))
}

fn three_frameworks() -> Bootstrap {
    Bootstrap::new()
        .load(HttpFramework::new())
        .load(WebSocketFramework::new())
        .load(GrpcFramework::new())
        .module(module("greeter", |m| {
            m.http(|r| r.post("/hello", hello)).websocket(|g| g.on("hello", hello)).grpc(|s| {
                s.unary::<HelloRequest, HelloReply>("helloworld.Greeter/SayHello", hello)
            });
            Ok(())
        }))
}

fn four_frameworks() -> Bootstrap {
    three_frameworks().load(AmqpFramework::new()).module(module("consumer", |m| {
        m.amqp(|q| q.consume("hello", hello));
        Ok(())
    }))
}

/// Whole, and until it was ready.
type Took = (Duration, Duration);

async fn once(test: TestBootstrap) -> Result<Took> {
    let begun = Instant::now();
    let app = test.root("no/such/folder").await?;
    let ready = begun.elapsed();
    app.close().await?;
    Ok((begun.elapsed(), ready))
}

async fn measured(test: impl Fn() -> TestBootstrap) -> Result<Vec<Took>> {
    let mut took = Vec::new();
    for _ in 0..WARM + TIMES {
        took.push(once(test()).await?);
    }
    let mut took = took.split_off(WARM);
    took.sort();
    Ok(took)
}

fn row(title: &str, took: &[Took], target: Option<Duration>) -> String {
    let (median, ready) = took[took.len() / 2];
    let (low, high) = (took[took.len() / 20].0, took[took.len() * 19 / 20].0);
    let judged = target.map_or_else(String::new, |most| {
        format!("≤ {most:?}: {}", if median <= most { "met" } else { "missed" })
    });
    format!("| {title} | {median:.2?} | {ready:.2?} | {low:.2?}–{high:.2?} | {judged} |")
}

fn main() -> Result<()> {
    // `cargo bench` says so; `cargo test --all-targets` runs the program too, and has nothing to test.
    if !std::env::args().any(|word| word == "--bench") {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| A bootstrap, start and close | median | of which the start | 90 % | target |"
    )?;
    writeln!(out, "|---|--:|--:|--:|---|")?;
    let in_memory =
        |bootstrap: fn() -> Bootstrap| move || create_bootstrap(bootstrap()).in_memory();
    for (threads, runtime) in [
        ("two threads", Builder::new_multi_thread().worker_threads(2).enable_all().build()?),
        ("one thread", Builder::new_current_thread().enable_all().build()?),
    ] {
        let took = runtime.block_on(measured(in_memory(four_frameworks)))?;
        let title = format!("A bootstrap in memory, start and close: four frameworks, {threads}");
        writeln!(out, "{}", row(&title, &took, Some(TARGET)))?;
        let took = runtime.block_on(measured(in_memory(three_frameworks)))?;
        writeln!(out, "{}", row(&format!("without AMQP, {threads}"), &took, None))?;
        let took = runtime.block_on(measured(|| create_bootstrap(four_frameworks())))?;
        writeln!(out, "{}", row(&format!("over sockets, {threads}"), &took, None))?;
    }
    Ok(())
}
