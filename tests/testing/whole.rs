//! HTTP, WebSocket, gRPC and AMQP in one application, many times at once.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use garde::Validate;
use polyport::{framework::RecordedKind, prelude::*, testing::*};
use polyport_proto::helloworld::{HelloReply, HelloRequest, greeter_client::GreeterClient};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Who the application is.
struct Name(String);

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

async fn hello(Inject(name): Inject<Name>, Input(hello): Input<Hello>) -> Result<Greeting, Fault> {
    tracing::info!(app = name.0, "said hello");
    Ok(Greeting(format!("{} greets {}", name.0, hello.name)))
}

/// Tells everybody in a while, in the background.
async fn announce(
    Inject(tasks): Inject<Tasks>,
    App(sockets): App<WebSocketApp>,
    Input(hello): Input<Hello>,
) -> Result<(), Fault> {
    tasks.spawn("announcing", async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if hello.name == "nobody" {
            return Err(Error::other("there is nobody to tell"));
        }
        sockets.everybody().emit("news", &json!({ "of": hello.name }))?;
        Ok(())
    });
    Ok(())
}

pub(crate) fn bootstrap() -> Bootstrap {
    named("app")
}

fn named(name: &str) -> Bootstrap {
    let name = Arc::new(Name(name.to_owned()));
    Bootstrap::new()
        .load(HttpFramework::new())
        .load(WebSocketFramework::new())
        .load(GrpcFramework::new())
        .load(AmqpFramework::new())
        .default_config(json!({ "tasks": { "on_failure": "log" } }))
        .module(module("greeter", move |m| {
            m.provide_value(Arc::clone(&name))
                .http(|r| r.post("/hello", hello).post("/announce", announce))
                .websocket(|g| g.on("hello", hello))
                .amqp(|q| q.consume("hello", hello))
                .grpc(|s| {
                    s.unary::<HelloRequest, HelloReply>("helloworld.Greeter/SayHello", hello)
                });
            Ok(())
        }))
}

fn is_listened_to(address: SocketAddr) -> bool {
    std::net::TcpStream::connect(address).is_ok()
}

/// One application, from its start to its end; it is called on every protocol.
async fn live(number: usize, in_memory: bool) {
    let name = format!("app-{number}");
    let test = create_bootstrap(named(&name)).root("no/such/folder");
    let test = if in_memory { test.in_memory() } else { test };
    // They are a hundred, and the machine may have other things to do.
    let app = test.start_within(Duration::from_secs(600)).await.expect("starts");
    let greeting = format!("{name} greets Tom");
    let reply = app.http().post("/hello").json(&json!({ "name": "Tom" })).await;
    assert_eq!(reply.json::<String>(), greeting);
    let mut socket = app.websocket("/ws").await;
    let reply = socket.call("hello", &json!({ "name": "Tom" })).await;
    assert_eq!(reply["data"], greeting);
    let mut client = app.grpc(GreeterClient::new);
    let reply = client.say_hello(HelloRequest { name: "Tom".into() }).await.expect("is answered");
    assert_eq!(reply.into_inner().message, greeting);
    let reply = app.amqp().request("hello", &json!({ "name": "Tom" })).await;
    assert_eq!(reply.json::<String>(), greeting);
    app.settled().await.expect("nothing fails");
    socket.close().await;
    let recorder = app.recorder().clone();
    app.close().await.expect("ends cleanly");
    let lines = recorder.logs().into_iter().filter_map(|line| line.text);
    let said: Vec<_> = lines.filter(|text| text.starts_with("said hello")).collect();
    assert_eq!(said, vec![format!("said hello app={name}"); 4], "{recorder}");
    assert_eq!(recorder.of(RecordedKind::Called).len(), 5, "and the connect: {recorder}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_applications_at_once_do_not_disturb_each_other() {
    for in_memory in [false, true] {
        let lives = (0..100).map(|number| tokio::spawn(live(number, in_memory)));
        for lived in join_all(lives).await {
            lived.expect("each is as if it were alone");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stderr, reason = "a test runner shows the figure where it is asked to")]
async fn in_memory_an_application_starts_and_ends_at_once() {
    let mut took = Vec::new();
    for _ in 0..21 {
        let begun = Instant::now();
        let app = create_bootstrap(bootstrap()).root("no/such/folder").in_memory();
        let app = app.await.expect("starts");
        let started = begun.elapsed();
        app.close().await.expect("ends cleanly");
        took.push((begun.elapsed(), started));
    }
    took.sort();
    let (fastest, started) = took[0];
    eprintln!("start and close in memory: {fastest:?} at best, of which {started:?} the start");
    // Built for speed it takes milliseconds (`cargo bench --bench testing`); here it is built for
    // debugging, and shares the machine with other tests.
    assert!(fastest < Duration::from_secs(2), "it takes long: {took:?}");
}

/// Whatever the machine does meanwhile: a clock that stands still goes on only where somebody waits
/// for it.
#[tokio::test(start_paused = true)]
async fn in_memory_start_and_close_wait_for_no_timer() {
    let begun = tokio::time::Instant::now();
    let app = create_bootstrap(bootstrap()).root("no/such/folder").in_memory();
    let app = app.await.expect("starts");
    let started = begun.elapsed();
    app.close().await.expect("ends cleanly");
    assert_eq!((started, begun.elapsed()), (Duration::ZERO, Duration::ZERO));
}

#[polyport::test(bootstrap)]
async fn an_application_that_is_dropped_leaves_its_ports(_app: &TestApp) {
    let app = create_bootstrap(bootstrap()).await.expect("starts");
    let addresses: Vec<_> = app.addresses().iter().filter_map(|bound| bound.address).collect();
    assert!(addresses.len() >= 2 && addresses.iter().all(|address| is_listened_to(*address)));
    let lifecycle = app.lifecycle().clone();
    drop(app);
    let stopped = lifecycle.reached(polyport::Phase::Stopped);
    tokio::time::timeout(Duration::from_secs(20), stopped).await.expect("stops");
    for address in addresses {
        std::net::TcpListener::bind(address).expect("is free");
    }
}

#[polyport::test(bootstrap)]
async fn a_push_that_a_call_causes_later_is_there_when_all_is_settled(app: &TestApp) {
    let mut socket = app.websocket("/ws").await;
    app.http().post("/announce").json(&json!({ "name": "Tom" })).await;
    app.settled().await.expect("nothing fails");
    let sent = app.recorder().by_route(RecordedKind::Sent, "news");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].json().expect("is a frame")["data"]["of"], "Tom");
    assert_eq!(socket.expect_event::<serde_json::Value>("news").await["of"], "Tom");
}

#[polyport::test(bootstrap)]
async fn a_background_task_that_fails_is_what_settling_ends_in(app: &TestApp) {
    app.http().post("/announce").json(&json!({ "name": "nobody" })).await;
    let error = app.settled().await.expect_err("there is nobody");
    assert_eq!(error.to_string(), "task announcing: there is nobody to tell");
}

#[polyport::test(bootstrap)]
async fn an_operation_is_called_without_its_protocol(app: TestApp) -> Result<(), Fault> {
    let tom = json!({ "name": "Tom" });
    let greeting: String = app.operation("POST /hello").call(&tom).await?;
    assert_eq!(greeting, "app greets Tom");
    let greeting: String = app.operation("hello").on("websocket").call(&tom).await?;
    assert_eq!(greeting, "app greets Tom");
    Ok(())
}
