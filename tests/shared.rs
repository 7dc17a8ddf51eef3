//! HTTP, WebSocket and gRPC on one listener: every request has one owner.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use garde::Validate;
use polyport::{ErrorKind, prelude::*, testing::*};
use polyport_proto::helloworld::{HelloReply, HelloRequest, greeter_client::GreeterClient};
use prost::Message;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};
use tonic::Code;

const RPC: &str = "/helloworld.Greeter/SayHello";

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it hangs")
}

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

struct Greeting(String);

impl From<Greeting> for HelloReply {
    fn from(greeting: Greeting) -> Self {
        Self { message: greeting.0 }
    }
}

/// Says that a call has begun, and lets it go on.
#[derive(Debug)]
struct Gate {
    begun: Semaphore,
    open: Semaphore,
}

async fn say_hello(
    Inject(gate): Inject<Gate>,
    Input(hello): Input<Hello>,
) -> Result<Greeting, Fault> {
    if hello.name == "slow" {
        gate.begun.add_permits(1);
        let _ = gate.open.acquire().await;
    }
    Ok(Greeting(format!("Hello {}!", hello.name)))
}

async fn hello() -> Result<&'static str, Fault> {
    Ok("hello")
}

fn gate() -> Arc<Gate> {
    Arc::new(Gate { begun: Semaphore::new(0), open: Semaphore::new(0) })
}

fn app(frameworks: impl FnOnce(Bootstrap) -> Bootstrap, gate: &Arc<Gate>) -> TestBootstrap {
    let gate = Arc::clone(gate);
    let routes = module("routes", move |m| {
        m.provide_value(Arc::clone(&gate))
            .http(|r| r.get("/hello", hello))
            .websocket(|g| g.on("hello", hello))
            .grpc(|s| s.unary::<HelloRequest, HelloReply>(&RPC[1..], say_hello));
        Ok(())
    });
    create_bootstrap(frameworks(Bootstrap::new()).module(routes)).config("grpc.listener", "default")
}

fn all(bootstrap: Bootstrap) -> Bootstrap {
    bootstrap.load(GrpcFramework::new()).load(WebSocketFramework::new()).load(HttpFramework::new())
}

fn address(app: &TestApp) -> SocketAddr {
    app.app::<HttpApp>().expect("it is loaded").local_addr().expect("it is bound")
}

/// The answer to an HTTP/1.1 request, as it came.
async fn ask(app: &TestApp, head: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = within(TcpStream::connect(address(app))).await.unwrap();
    let head =
        format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    within(stream.write_all(&[head.as_bytes(), body].concat())).await.unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    answer
}

async fn ask_text(app: &TestApp, head: &str) -> String {
    String::from_utf8_lossy(&ask(app, head, b"").await).to_ascii_lowercase()
}

/// One message in gRPC's frame.
fn framed(name: &str) -> Vec<u8> {
    let message = HelloRequest { name: name.to_owned() }.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

async fn greet(app: &TestApp, name: &str) -> Result<String, tonic::Status> {
    let mut client = app.grpc(GreeterClient::new);
    let reply = within(client.say_hello(HelloRequest { name: name.to_owned() })).await?;
    Ok(reply.into_inner().message)
}

#[tokio::test]
async fn all_three_are_served_whatever_the_order_in_which_they_are_loaded() {
    let orders: [fn(Bootstrap) -> Bootstrap; 3] = [
        all,
        |b| b.load(HttpFramework::new()).load(WebSocketFramework::new()).load(GrpcFramework::new()),
        |b| b.load(WebSocketFramework::new()).load(HttpFramework::new()).load(GrpcFramework::new()),
    ];
    for frameworks in orders {
        let app = within(async { app(frameworks, &gate()).await }).await.unwrap();
        assert_eq!(app.app::<GrpcApp>().unwrap().local_addr(), Some(address(&app)));
        assert_eq!(app.http().get("/hello").await.status(), 200);
        assert_eq!(greet(&app, "Tom").await.unwrap(), "Hello Tom!");
        let mut socket = app.websocket("/ws").await;
        assert_eq!(socket.call("hello", &()).await["data"]["data"], "hello");
        drop(socket);
        within(app.close()).await.unwrap();
    }
}

#[tokio::test]
async fn what_nobody_serves_is_refused_by_the_protocol_that_was_spoken() {
    let app = app(all, &gate()).await.unwrap();
    let unknown = app.http().get("/nowhere").await;
    assert_eq!(unknown.status(), 404);
    assert!(unknown.text().contains("ERR40400"), "{}", unknown.text());
    assert_eq!(app.http().get(RPC).await.status(), 404);
    assert_eq!(app.http().get("/ws").await.status(), 426);

    let mut grpc = app.grpc(tonic::client::Grpc::new);
    within(grpc.ready()).await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/no.such.Service/Method");
    let codec = tonic_prost::ProstCodec::<HelloRequest, HelloReply>::default();
    let call = grpc.unary(tonic::Request::new(HelloRequest::default()), path, codec);
    assert_eq!(within(call).await.unwrap_err().code(), Code::Unimplemented);

    let old =
        ask_text(&app, &format!("POST {RPC} HTTP/1.1\r\ncontent-type: application/grpc")).await;
    assert!(old.starts_with("http/1.1 505 "), "{old}");
    within(app.close()).await.unwrap();
}

#[tokio::test]
async fn grpc_web_is_answered_on_request_and_permitted_to_the_pages_that_may() {
    let web = |on: bool| {
        let origins = serde_json::json!(["https://app.example"]);
        app(all, &gate()).config("grpc.web", on).config("grpc.web_origins", origins)
    };
    let call = |origin: &str| {
        format!(
            "POST {RPC} HTTP/1.1\r\norigin: {origin}\r\nx-grpc-web: 1\r\n\
             content-type: application/grpc-web+proto"
        )
    };
    let preflight = |origin: &str| {
        format!(
            "OPTIONS {RPC} HTTP/1.1\r\norigin: {origin}\r\n\
             access-control-request-method: POST\r\n\
             access-control-request-headers: content-type,x-grpc-web"
        )
    };
    let app = web(true).await.unwrap();
    let answer = ask(&app, &call("https://app.example"), &framed("Tom")).await;
    let text = String::from_utf8_lossy(&answer);
    for part in [
        "HTTP/1.1 200 ",
        "access-control-allow-origin: https://app.example",
        "content-type: application/grpc-web+proto",
        "Hello Tom!",
        "grpc-status:0",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let allowed = ask_text(&app, &preflight("https://app.example")).await;
    assert!(allowed.starts_with("http/1.1 204 "), "{allowed}");
    assert!(allowed.contains("access-control-allow-headers: content-type,x-grpc-web"), "{allowed}");
    let refused = ask_text(&app, &preflight("https://evil.example")).await;
    assert!(!refused.contains("access-control-allow"), "{refused}");
    within(app.close()).await.unwrap();

    let app = web(false).await.unwrap();
    let answer = ask(&app, &call("https://app.example"), &framed("Tom")).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200"));
    within(app.close()).await.unwrap();
}

#[tokio::test]
async fn a_stop_waits_for_a_call_of_grpc_on_a_listener_of_http() {
    let gate = gate();
    let app = app(all, &gate).await.unwrap();
    let mut client = app.grpc(GreeterClient::new);
    let slow = async move { client.say_hello(HelloRequest { name: "slow".to_owned() }).await };
    let slow = tokio::spawn(slow);
    within(gate.begun.acquire()).await.unwrap().forget();
    let stop = tokio::spawn(app.close());
    tokio::task::yield_now().await;
    assert!(!stop.is_finished());
    gate.open.add_permits(1);
    assert_eq!(within(slow).await.unwrap().unwrap().into_inner().message, "Hello slow!");
    within(stop).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_route_that_a_websocket_path_hides_is_named_at_the_start() {
    let hidden = |b: Bootstrap| {
        all(b).module(module("hidden", |m| {
            m.http(|r| r.get("/ws", hello));
            Ok(())
        }))
    };
    let error = app(hidden, &gate()).await.unwrap_err();
    let report = format!("{error:?}");
    assert!(report.contains("GET /ws") && report.contains("websocket takes /ws"), "{report}");
}

#[tokio::test]
async fn a_listener_that_is_not_there_is_named() {
    let alone = |b: Bootstrap| b.load(GrpcFramework::new());
    let error = app(alone, &gate()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    assert!(format!("{error:?}").contains("no HTTP framework named \"default\""), "{error:?}");
}

#[tokio::test]
async fn a_listener_wins_over_a_port_and_an_empty_one_is_none() {
    let joined = app(all, &gate()).config("grpc.port", 0).await.unwrap();
    assert_eq!(joined.app::<GrpcApp>().unwrap().local_addr(), Some(address(&joined)));
    within(joined.close()).await.unwrap();

    let own = app(all, &gate()).config("grpc.listener", "").config("websocket.listener", "");
    let own = own.config("websocket.port", 0).await.unwrap();
    assert_ne!(own.app::<GrpcApp>().unwrap().local_addr(), Some(address(&own)));
    assert_eq!(greet(&own, "Tom").await.unwrap(), "Hello Tom!");
    assert_eq!(own.http().get("/ws").await.status(), 404);
    within(own.close()).await.unwrap();
}
