//! An application with one operation of every behaviour, and raw clients.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(
    clippy::expect_used,
    reason = "it is used by tests only, which want to fail with its words"
)]

use std::{
    convert::Infallible,
    future::IntoFuture,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use garde::Validate;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use polyport_bootstrap::{
    Application, Bootstrap, Fault, Module, ModuleBuilder, Result,
    operation::{Ctx, Inject, Input},
    testing::{TestApp, TestBootstrap, create_bootstrap},
};
use polyport_grpc::{GrpcApp, GrpcFramework, GrpcModule, GrpcOperations};
use polyport_proto::{helloworld as hello, im::v1 as im};
use tokio::{net::TcpStream, sync::mpsc};

pub(crate) const SAY_HELLO: &str = "helloworld.Greeter/SayHello";

/// Nothing here takes longer, unless it hangs.
pub(crate) async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future.into_future()).await.expect("it hangs")
}

#[derive(Debug, Validate)]
pub(crate) struct Hello {
    #[garde(length(bytes, min = 1))]
    name: String,
}

impl From<hello::HelloRequest> for Hello {
    fn from(message: hello::HelloRequest) -> Self {
        Self { name: message.name }
    }
}

pub(crate) struct Greeting(String);

impl Greeting {
    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<Greeting> for hello::HelloReply {
    fn from(greeting: Greeting) -> Self {
        Self { message: greeting.0 }
    }
}

/// Tells the test that a call has begun, and holds it until the test lets it go.
#[derive(Debug)]
pub(crate) struct Gate {
    begun: mpsc::UnboundedSender<&'static str>,
    open: tokio::sync::Semaphore,
}

impl Gate {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<&'static str>) {
        let (begun, begins) = mpsc::unbounded_channel();
        (Arc::new(Self { begun, open: tokio::sync::Semaphore::new(0) }), begins)
    }

    pub(crate) fn say(&self, what: &'static str) {
        let _ = self.begun.send(what);
    }

    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }

    pub(crate) async fn pass(&self) {
        self.say("begun");
        let _ = self.open.acquire().await;
    }
}

/// Says on the gate when it is dropped.
pub(crate) struct Watched(pub(crate) Arc<Gate>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.say("dropped");
    }
}

pub(crate) async fn say_hello(
    Inject(gate): Inject<Gate>,
    Ctx(call): Ctx,
    Input(hello): Input<Hello>,
) -> Result<Greeting, Fault> {
    let greeting = |text: String| Ok(Greeting(text));
    match hello.name.as_str() {
        "panic" => panic!("the operation breaks"),
        "nobody" => Err(Fault::not_found("USER_NOT_FOUND", "no such user").with_code("4711")),
        "gate" => {
            gate.pass().await;
            greeting("through the gate".to_owned())
        }
        "forever" => {
            let _watched = Watched(Arc::clone(&gate));
            gate.say("begun");
            std::future::pending().await
        }
        "id" => greeting(call.request_id.to_string()),
        "header" => greeting(format!("{:?}", call.metadata.get("x-tenant"))),
        "deadline" => greeting(call.deadline.is_some().to_string()),
        "peer" => greeting(call.extension::<polyport_listener::PeerAddr>().is_some().to_string()),
        name => greeting(format!("Hello {name}!")),
    }
}

#[derive(Debug, Validate)]
#[garde(allow_unvalidated)]
pub(crate) struct Room(String);

impl From<im::SubscribeRequest> for Room {
    fn from(message: im::SubscribeRequest) -> Self {
        Self(message.room)
    }
}

pub(crate) struct Posted(String);

impl From<Posted> for im::Message {
    fn from(posted: Posted) -> Self {
        assert!(posted.0 != "unconvertible", "the conversion breaks");
        Self { text: posted.0, ..Self::default() }
    }
}

type Items = Pin<Box<dyn Stream<Item = Result<Posted, Fault>> + Send>>;

fn posted(text: &str) -> Result<Posted, Fault> {
    Ok(Posted(text.to_owned()))
}

pub(crate) async fn subscribe(
    Inject(gate): Inject<Gate>,
    Input(Room(room)): Input<Room>,
) -> Result<Items, Fault> {
    let two = || stream::iter([posted("one"), posted("two")]);
    Ok(match room.as_str() {
        "closed" => return Err(Fault::permission_denied("CLOSED", "the room is closed")),
        "fault" => {
            two().chain(stream::once(async { Err(Fault::unavailable("GONE", "it left")) })).boxed()
        }
        "panic" => two().chain(stream::once(async { panic!("the stream breaks") })).boxed(),
        "conversion" => two().chain(stream::iter([posted("unconvertible")])).boxed(),
        "open" => {
            let watched = Watched(Arc::clone(&gate));
            let rest = stream::once(async move {
                let _watched = watched;
                std::future::pending().await
            });
            two().chain(rest).boxed()
        }
        "flood" => stream::repeat_with(|| posted(&"x".repeat(4096))).boxed(),
        _ => two().boxed(),
    })
}

/// Its stream is not boxed, and it takes no input.
pub(crate) async fn numbers() -> Result<impl Stream<Item = Result<Posted, Infallible>>, Fault> {
    Ok(stream::iter(["1", "2", "3"].map(|text| Ok(Posted(text.to_owned())))))
}

pub(crate) async fn nothing() -> Result<(), Infallible> {
    Ok(())
}

/// Registers whatever the function says, with a gate to inject.
pub(crate) struct Serves<F>(pub(crate) Arc<Gate>, pub(crate) F);

impl<F: Fn(&mut ModuleBuilder<'_>) + Send + Sync + 'static> Module for Serves<F> {
    fn name(&self) -> &'static str {
        "sample"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::clone(&self.0));
        (self.1)(m);
        Ok(())
    }
}

pub(crate) fn all(m: &mut ModuleBuilder<'_>) {
    m.grpc(|s| {
        s.unary::<hello::HelloRequest, hello::HelloReply>(SAY_HELLO, say_hello)
            .server_streaming::<im::SubscribeRequest, im::Message>(
                "im.v1.ChatService/Subscribe",
                subscribe,
            )
            .server_streaming::<(), im::Message>("test.v1.Test/Numbers", numbers)
            .unary::<(), ()>("test.v1.Test/Nothing", nothing)
    });
}

pub(crate) fn sample(
    routes: impl Fn(&mut ModuleBuilder<'_>) + Send + Sync + 'static,
) -> (TestBootstrap, Arc<Gate>, mpsc::UnboundedReceiver<&'static str>) {
    let (gate, begins) = Gate::new();
    let module = Serves(Arc::clone(&gate), routes);
    let bootstrap = Bootstrap::new().load(GrpcFramework::new()).module(module);
    (create_bootstrap(bootstrap), gate, begins)
}

pub(crate) async fn start() -> TestApp {
    soon(sample(all).0).await.expect("it starts")
}

pub(crate) fn address(app: &TestApp) -> SocketAddr {
    app.app::<GrpcApp>().expect("it is loaded").local_addr().expect("it is bound")
}

pub(crate) fn named(name: &str) -> hello::HelloRequest {
    hello::HelloRequest { name: name.to_owned() }
}

pub(crate) fn room(name: &str) -> im::SubscribeRequest {
    im::SubscribeRequest { room: name.to_owned() }
}

/// One message in gRPC's frame.
pub(crate) fn framed(message: &impl prost::Message) -> Vec<u8> {
    let body = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(body.len()).expect("small").to_be_bytes());
    frame.extend(body);
    frame
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Raw {
    /// The gRPC status, in the trailers or in the headers of an answer without a message.
    pub(crate) fn grpc_status(&self) -> Option<&str> {
        let headers = self.trailers.as_ref().unwrap_or(&self.headers);
        headers.get("grpc-status")?.to_str().ok()
    }
}

/// A bare HTTP/2 request.
pub(crate) async fn http2(app: &TestApp, request: Request<Vec<u8>>) -> Raw {
    let stream = TcpStream::connect(address(app)).await.expect("connects");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("speaks HTTP/2");
    tokio::spawn(connection);
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    parts.uri = format!("http://localhost{path}").parse().expect("a URI");
    let request = Request::from_parts(parts, Full::new(Bytes::from(body)));
    let answer = soon(sender.send_request(request)).await.expect("is answered");
    let (parts, body) = answer.into_parts();
    let body = soon(body.collect()).await.expect("is answered to the end");
    let trailers = body.trailers().cloned();
    Raw { status: parts.status, headers: parts.headers, body: body.to_bytes(), trailers }
}

/// A gRPC call with any bytes for its messages.
pub(crate) async fn call(
    app: &TestApp,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Raw {
    let mut request = Request::post(format!("/{path}")).header("te", "trailers");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    http2(app, request.body(body).expect("a request")).await
}

/// Whether nobody listens there.
pub(crate) async fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_err()
}

/// Ends when nobody listens there any more.
pub(crate) async fn closed(address: SocketAddr) {
    while !is_refused(address).await {
        tokio::task::yield_now().await;
    }
}

/// The greeter that tonic generates the server of.
#[derive(Debug, Clone, Default)]
pub(crate) struct TonicGreeter;

#[tonic::async_trait]
impl hello::greeter_server::Greeter for TonicGreeter {
    async fn say_hello(
        &self,
        request: tonic::Request<hello::HelloRequest>,
    ) -> Result<tonic::Response<hello::HelloReply>, tonic::Status> {
        let context = request.extensions().get::<polyport_bootstrap::Context>();
        let id = context.map(|context| context.request_id.clone());
        let message = match request.into_inner().name.as_str() {
            "panic" => panic!("the service breaks"),
            "forever" => std::future::pending().await,
            "id" => id.map(|id| id.to_string()).unwrap_or_default(),
            "nobody" => return Err(tonic::Status::not_found("from tonic")),
            name => format!("tonic says hello to {name}"),
        };
        Ok(tonic::Response::new(hello::HelloReply { message }))
    }
}

/// A chat whose subscription lasts, or breaks.
#[derive(Debug, Clone, Default)]
pub(crate) struct TonicChat;

struct Breaks;

impl Stream for Breaks {
    type Item = Result<im::Message, tonic::Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        panic!("the service's stream breaks")
    }
}

#[tonic::async_trait]
impl im::chat_service_server::ChatService for TonicChat {
    type SubscribeStream =
        Pin<Box<dyn Stream<Item = Result<im::Message, tonic::Status>> + Send + 'static>>;

    async fn send_message(
        &self,
        _: tonic::Request<im::SendMessageRequest>,
    ) -> Result<tonic::Response<im::SendMessageResponse>, tonic::Status> {
        Ok(tonic::Response::new(im::SendMessageResponse { id: "tonic".to_owned() }))
    }

    async fn list_messages(
        &self,
        _: tonic::Request<im::ListMessagesRequest>,
    ) -> Result<tonic::Response<im::ListMessagesResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("not here"))
    }

    async fn subscribe(
        &self,
        request: tonic::Request<im::SubscribeRequest>,
    ) -> Result<tonic::Response<Self::SubscribeStream>, tonic::Status> {
        let one = stream::iter([Ok(im::Message { text: "one".to_owned(), ..Default::default() })]);
        Ok(tonic::Response::new(match request.into_inner().room.as_str() {
            "panic" => Box::pin(Breaks),
            _ => Box::pin(one.chain(stream::pending())),
        }))
    }
}
