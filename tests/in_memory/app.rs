//! The application under test.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use garde::Validate;
use polyport::{
    http::{Cookies, HttpRoutes, ServerEvent, Upload},
    operation::{Body, ByteStream, Items, Raw},
    prelude::*,
    testing::{TestBootstrap, create_bootstrap},
    websocket::Closed,
};
use polyport_proto::{
    helloworld::{HelloReply, HelloRequest},
    im::v1 as im,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::Way;

#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
pub(crate) struct Post {
    #[garde(length(min = 1))]
    pub(crate) from: String,
    #[garde(skip)]
    #[serde(default)]
    pub(crate) tags: Vec<String>,
}

pub(crate) fn post(from: &str, tags: &[&str]) -> Post {
    Post { from: from.to_owned(), tags: tags.iter().map(|&tag| tag.to_owned()).collect() }
}

/// Calls that have begun wait until the test lets them go on.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) begun: Semaphore,
    pub(crate) open: Semaphore,
}

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { begun: Semaphore::new(0), open: Semaphore::new(0) })
    }
}

async fn hold(Inject(gate): Inject<Gate>) -> Result<&'static str, Fault> {
    gate.begun.add_permits(1);
    drop(gate.open.acquire().await);
    Ok("held")
}

async fn echo(Input(post): Input<Post>) -> Result<Post, Fault> {
    match post.from.as_str() {
        "nobody" => Err(Fault::not_found("NO_USER", "there is no such user")),
        _ => Ok(post),
    }
}

async fn log_in(cookies: Cookies) -> Result<Redirect, Fault> {
    cookies.set(("user", "tom"))?;
    Ok(Redirect::see_other("/me"))
}

async fn me(cookies: Cookies) -> Result<String, Fault> {
    let user = cookies.get("user").map(ToString::to_string);
    user.ok_or_else(|| Fault::unauthenticated("NO_USER", "log in first"))
}

#[derive(Deserialize, Validate)]
struct Hops {
    #[garde(skip)]
    left: u32,
}

/// Redirects as often as is left, and then away from the folder.
async fn hop(Input(hops): Input<Hops>) -> Result<Redirect, Fault> {
    Ok(Redirect::anywhere(match hops.left {
        0 => "../echo?from=https://example.org/back".to_owned(),
        left => (left - 1).to_string(),
    }))
}

async fn absolute(request: HttpRequest) -> Result<Redirect, Fault> {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok());
    Ok(Redirect::anywhere(format!("http://{}/hops/0#top", host.unwrap_or_default())))
}

async fn moved() -> Result<Redirect, Fault> {
    Ok(Redirect::permanent("/echo"))
}

async fn away() -> Result<Redirect, Fault> {
    Ok(Redirect::anywhere("https://example.org/"))
}

async fn describe(upload: Upload) -> Result<Value, Fault> {
    let texts: Vec<_> = upload.texts().collect();
    let files: Vec<_> = upload.files().iter().map(|file| (file.name(), file.length())).collect();
    Ok(json!({ "texts": texts, "files": files }))
}

async fn ticks() -> Result<Items<ServerEvent>, Fault> {
    let event = |n: u32| ServerEvent::json(&n).map(|event| event.event(name_of(n)).id(n));
    Ok(Items::new(stream::iter(0..4).map(event)))
}

fn name_of(n: u32) -> &'static str {
    if n.is_multiple_of(2) { "even" } else { "odd" }
}

async fn pieces() -> Result<ByteStream, Fault> {
    let pieces = ["one ", "two ", "three"].map(|piece| Ok::<_, Fault>(Bytes::from(piece)));
    Ok(ByteStream::new("text/plain", stream::iter(pieces)))
}

async fn never() -> Result<(), Fault> {
    std::future::pending().await
}

async fn announce(socket: Socket, Input(post): Input<Post>) -> Result<(), Fault> {
    socket.send_event("other", &1)?;
    Ok(socket.send_event("announced", &post)?)
}

async fn confirm(socket: Socket) -> Result<bool, Fault> {
    socket.request("sure?", &json!({ "what": "delete" }), Duration::from_secs(10)).await
}

async fn gone(closed: Closed) -> Result<(), Fault> {
    tracing::info!(code = closed.code, reason = closed.reason, "a client is gone");
    Ok(())
}

async fn leave(socket: Socket) -> Result<(), Fault> {
    socket.close(4001, "you asked for it");
    Ok(())
}

async fn reverse(Body(bytes): Body) -> Result<Raw, Fault> {
    Ok(Raw::new("application/octet-stream", bytes.iter().rev().copied().collect::<Vec<u8>>()))
}

/// Only those with a token may connect.
fn with_token(context: &Context) -> std::result::Result<(), Fault> {
    match context.metadata.get("authorization") {
        Some(token) if token == "Bearer t0k3n" => Ok(()),
        _ => Err(Fault::unauthenticated("NO_TOKEN", "show your token")),
    }
}

impl From<HelloRequest> for Post {
    fn from(message: HelloRequest) -> Self {
        post(&message.name, &[])
    }
}

impl From<Post> for HelloReply {
    fn from(post: Post) -> Self {
        Self { message: format!("Hello {}!", post.from) }
    }
}

struct Message(String);

impl From<Message> for im::Message {
    fn from(message: Message) -> Self {
        Self { text: message.0, ..Self::default() }
    }
}

#[derive(Validate)]
struct Room(#[garde(skip)] String);

impl From<im::SubscribeRequest> for Room {
    fn from(message: im::SubscribeRequest) -> Self {
        Self(message.room)
    }
}

/// Two messages, then nothing until the process stops.
async fn subscribe(Input(room): Input<Room>) -> Result<Items<Message>, Fault> {
    let texts = [room.0.clone(), format!("{} again", room.0)];
    let messages = texts.map(|text| Ok::<_, Fault>(Message(text)));
    let messages = stream::iter(messages);
    Ok(Items::new(messages.chain(stream::pending())))
}

fn http(r: HttpRoutes) -> HttpRoutes {
    r.get("/hold", hold)
        .get("/echo", echo)
        .post("/echo", echo)
        .post("/login", log_in)
        .get("/me", me)
        .get("/hops/{left}", hop)
        .get("/absolute", absolute)
        .post("/moved", moved)
        .get("/away", away)
        .post("/upload", describe)
        .get("/ticks", ticks)
        .get("/pieces", pieces)
        .get("/never", never)
}

/// HTTP with WebSocket on its listener, gRPC on its own; one more HTTP and WebSocket framework
/// (`admin`), each with a port of its own; one more gRPC framework on HTTP's listener.
pub(crate) fn bootstrap(gate: &Arc<Gate>) -> Bootstrap {
    let gate = Arc::clone(gate);
    let routes = module("routes", move |m| {
        m.provide_value(Arc::clone(&gate))
            .http(http)
            .http_on("admin", |r| r.get("/admin", async || Ok::<_, Fault>("admin")))
            .websocket(|g| {
                g.on("echo", echo)
                    .on("announce", announce)
                    .on("confirm", confirm)
                    .on("leave", leave)
                    .on("never", never)
                    .on_binary(reverse)
                    .on_disconnect(gone)
            })
            .websocket_on("admin", |g| g.on("echo", echo))
            .grpc(|s| {
                s.unary::<HelloRequest, HelloReply>("helloworld.Greeter/SayHello", echo)
                    .server_streaming::<im::SubscribeRequest, im::Message>(
                    "im.v1.ChatService/Subscribe",
                    subscribe,
                )
            })
            .grpc_on("joined", |s| {
                s.unary::<HelloRequest, HelloReply>("helloworld.Greeter/SayHello", echo)
            });
        Ok(())
    });
    Bootstrap::new()
        .load(GrpcFramework::named("joined"))
        .load(WebSocketFramework::new())
        .load(HttpFramework::new())
        .load(HttpFramework::named("admin"))
        .load(WebSocketFramework::named("admin").pipeline(|p| p.guard(with_token)))
        .load(GrpcFramework::new())
        .module(routes)
}

/// It, as it is configured.
pub(crate) fn configured(gate: &Arc<Gate>) -> TestBootstrap {
    create_bootstrap(bootstrap(gate))
        .root("tests/in_memory/without_files")
        .config("grpc_joined.listener", "default")
        .config("http_admin.port", 7101)
        .config("websocket_admin.port", 7102)
        .config("websocket_admin.subprotocols", ["chat.v1"])
}

/// It, on its way.
pub(crate) fn app(way: Way) -> TestBootstrap {
    way.of(configured(&Gate::new()))
}
