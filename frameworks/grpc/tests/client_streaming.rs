//! Streams of the client: alone, and beside one of the operation.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use garde::Validate;
use http::{HeaderValue, Request as HttpRequest, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use polyport_bootstrap::{
    Context, Fault, ModuleBuilder,
    operation::{Inject, Interceptor, Items, Next, OperationExt, Reply},
    testing::TestApp,
};
use polyport_grpc::{GrpcModule, GrpcOperations, Messages, fault_from_status, testing::GrpcTest};
use polyport_proto::helloworld::{HelloReply, HelloRequest};
use support::{Gate, Watched, address, call, framed, named, sample, soon};
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Request, Status, Streaming, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

const JOIN: &str = "test.v1.Chat/Join";
const ECHO: &str = "test.v1.Chat/Echo";
const FIRST: &str = "test.v1.Chat/First";
const SUM: &str = "test.v1.Chat/Sum";

#[derive(Debug, Validate)]
struct Name(#[garde(length(bytes, min = 1))] String);

impl From<HelloRequest> for Name {
    fn from(message: HelloRequest) -> Self {
        Self(message.name)
    }
}

struct Text(String);

impl From<Text> for HelloReply {
    fn from(text: Text) -> Self {
        Self { message: text.0 }
    }
}

/// All names in one answer; says how it ended where that is no good.
async fn join(Inject(gate): Inject<Gate>, names: Messages<Name>) -> Result<Text, Fault> {
    let _watched = Watched(Arc::clone(&gate));
    let fold = names.try_fold(Vec::new(), async |mut all, Name(name)| {
        gate.say("message");
        all.push(name);
        Ok(all)
    });
    match fold.await {
        Ok(all) => {
            gate.say("all");
            Ok(Text(all.join(" ")))
        }
        Err(fault) => {
            gate.say(if fault.reason() == "CLIENT_LEFT" { "left" } else { "fault" });
            Err(fault)
        }
    }
}

/// Each name back, as it comes.
async fn echo(
    Inject(gate): Inject<Gate>,
    names: Messages<Name>,
) -> Result<impl Stream<Item = Result<Text, Fault>>, Fault> {
    let watched = Watched(gate);
    Ok(names.map_ok(move |Name(name)| {
        let _ = &watched;
        assert!(name != "panic", "the stream breaks");
        Text(name)
    }))
}

/// Answers before the client has sent all.
async fn first(mut names: Messages<Name>) -> Result<Text, Fault> {
    let first = names.message().await?;
    Ok(Text(first.map_or_else(String::new, |Name(name)| name)))
}

#[derive(Clone, PartialEq, prost::Message, Validate)]
#[garde(allow_unvalidated)]
struct Number {
    #[prost(uint32, tag = "1")]
    value: u32,
}

async fn sum(numbers: Messages<Number>) -> Result<Items<u32>, Fault> {
    let mut sum = 0;
    Ok(Items::new(numbers.map_ok(move |number| {
        sum += number.value;
        sum
    })))
}

fn chat(m: &mut ModuleBuilder<'_>) {
    m.grpc(|s| {
        s.client_streaming::<HelloRequest, HelloReply>(JOIN, join)
            .bidi_streaming::<HelloRequest, HelloReply>(ECHO, echo)
            .client_streaming::<HelloRequest, HelloReply>(FIRST, first)
            .method(SUM, sum)
    });
}

async fn start() -> (TestApp, Arc<Gate>, mpsc::UnboundedReceiver<&'static str>) {
    let (bootstrap, gate, begins) = sample(chat);
    let bootstrap = bootstrap.config("grpc.max_message_size", 64);
    (soon(bootstrap).await.expect("it starts"), gate, begins)
}

type Client = Grpc<Channel>;

async fn client(app: &TestApp) -> Client {
    let mut client = app.grpc(Grpc::new);
    client.ready().await.expect("it is ready");
    client
}

fn path(of: &str) -> http::uri::PathAndQuery {
    format!("/{of}").parse().expect("a path")
}

async fn collect(
    app: &TestApp,
    of: &str,
    names: impl Stream<Item = HelloRequest> + Send + 'static,
) -> Result<String, Status> {
    let codec = ProstCodec::<HelloRequest, HelloReply>::default();
    let mut client = client(app).await;
    let answer = soon(client.client_streaming(Request::new(names), path(of), codec)).await?;
    Ok(answer.into_inner().message)
}

async fn talk(
    app: &TestApp,
    names: impl Stream<Item = HelloRequest> + Send + 'static,
) -> Result<Streaming<HelloReply>, Status> {
    let codec = ProstCodec::<HelloRequest, HelloReply>::default();
    let mut client = client(app).await;
    Ok(soon(client.streaming(Request::new(names), path(ECHO), codec)).await?.into_inner())
}

#[tokio::test]
async fn all_messages_of_the_client_arrive_in_order() {
    let (app, ..) = start().await;
    let names = stream::iter(["a", "b", "c"].map(named));
    assert_eq!(collect(&app, JOIN, names).await.expect("answered"), "a b c");
    let none = stream::iter(Vec::new());
    assert_eq!(collect(&app, JOIN, none).await.expect("answered"), "");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn both_sides_talk_at_the_same_time() {
    let (app, ..) = start().await;
    let (send, names) = mpsc::unbounded_channel();
    let mut answers = talk(&app, UnboundedReceiverStream::new(names)).await.expect("begins");
    for name in ["a", "b", "c"] {
        send.send(named(name)).expect("it is sent");
        let answer = soon(answers.message()).await.expect("no fault").expect("one");
        assert_eq!(answer.message, name);
    }
    drop(send);
    assert!(soon(answers.message()).await.expect("an ordinary end").is_none());
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn types_that_know_their_messages_are_enough() {
    let (app, ..) = start().await;
    let mut client = client(&app).await;
    let numbers = Request::new(stream::iter([1, 2, 3].map(|value| Number { value })));
    let answer = client.streaming(numbers, path(SUM), ProstCodec::<Number, u32>::default());
    let answer = soon(answer).await.expect("begins").into_inner();
    assert_eq!(soon(answer.try_collect::<Vec<u32>>()).await.expect("sums"), [1, 3, 6]);
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn an_operation_may_answer_before_the_client_has_sent_all() {
    let (app, ..) = start().await;
    let names = stream::iter([named("first")]).chain(stream::pending());
    assert_eq!(collect(&app, FIRST, names).await.expect("answered"), "first");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_message_that_is_invalid_is_a_fault_that_names_its_field() {
    let (app, ..) = start().await;
    let names = stream::iter(["a", ""].map(named));
    let status = collect(&app, JOIN, names).await.expect_err("refused");
    let fault = fault_from_status(&status);
    assert_eq!((status.code(), fault.reason()), (Code::InvalidArgument, "INVALID_INPUT"));
    assert!(fault.details().is_some(), "{fault:?}");
    let names = stream::iter(["a", ""].map(named));
    let mut answers = talk(&app, names).await.expect("begins");
    assert_eq!(soon(answers.message()).await.expect("one").expect("one").message, "a");
    let status = soon(answers.message()).await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_those_below_it_are_not_added_up() {
    let (app, ..) = start().await;
    let names = stream::iter([named(&"x".repeat(40)), named(&"y".repeat(40))]);
    assert_eq!(collect(&app, JOIN, names).await.expect("answered").len(), 81);
    let names = stream::iter([named("a"), named(&"x".repeat(65))]);
    let status = collect(&app, JOIN, names).await.expect_err("refused");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(fault_from_status(&status).reason(), "MESSAGE_TOO_LARGE");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_message_that_is_malformed_is_a_fault() {
    let (app, _, mut says) = start().await;
    let answer = call(&app, JOIN, &[], vec![0, 0, 0, 0, 1, 0xff]).await;
    assert_eq!(answer.grpc_status(), Some("3"), "not what the message is");
    assert_eq!(soon(says.recv()).await, Some("fault"));
    let mut cut = framed(&named("a"));
    cut.pop();
    let answer = call(&app, JOIN, &[], cut).await;
    assert_eq!(answer.grpc_status(), Some("13"), "a half one is no ordinary end");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_panic_in_the_middle_of_both_streams_ends_the_call() {
    let (app, ..) = start().await;
    let mut answers = talk(&app, stream::iter(["panic"].map(named))).await.expect("begins");
    let status = soon(answers.message()).await.expect_err("it breaks");
    assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
    app.close().await.expect("stops cleanly");
}

/// A call whose client does as the test says.
struct RawCall {
    frames: mpsc::Sender<Result<Bytes, Status>>,
    answer: JoinHandle<Result<Response<hyper::body::Incoming>, hyper::Error>>,
}

impl RawCall {
    async fn begin(app: &TestApp, path: &str, timeout: Option<&str>) -> Self {
        let stream = TcpStream::connect(address(app)).await.expect("connects");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("speaks HTTP/2");
        tokio::spawn(connection);
        let (frames, mut receiver) = mpsc::channel::<Result<Bytes, Status>>(1);
        let body = stream::poll_fn(move |cx| receiver.poll_recv(cx)).map_ok(Frame::data);
        let mut request = HttpRequest::post(format!("http://localhost/{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let request = request.body(StreamBody::new(body)).expect("a request");
        Self { frames, answer: tokio::spawn(sender.send_request(request)) }
    }

    async fn send(&self, name: &str) {
        let frame = Bytes::from(framed(&named(name)));
        soon(self.frames.send(Ok(frame))).await.expect("the call is open");
    }

    async fn reset(self) {
        soon(self.frames.send(Err(Status::cancelled("reset")))).await.expect("the call is open");
    }

    /// The status, where the messages are not ended, or are.
    async fn status(self, end: bool) -> String {
        let frames = (!end).then_some(self.frames);
        let answer = soon(self.answer).await.expect("no panic").expect("answered");
        let headers = answer.headers().clone();
        let body = soon(answer.into_body().collect()).await.expect("to the end");
        drop(frames);
        let trailers = body.trailers().unwrap_or(&headers);
        trailers["grpc-status"].to_str().expect("text").to_owned()
    }
}

/// Everything that is said until the operation is dropped.
async fn until_dropped(says: &mut mpsc::UnboundedReceiver<&'static str>) -> Vec<&'static str> {
    let mut seen = Vec::new();
    while !seen.contains(&"dropped") {
        seen.push(soon(says.recv()).await.expect("the gate is open"));
    }
    seen
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_operation_and_has_not_sent_all() {
    let (app, _, mut says) = start().await;
    let call = RawCall::begin(&app, JOIN, None).await;
    call.send("a").await;
    assert_eq!(soon(says.recv()).await, Some("message"));
    call.reset().await;
    let seen = until_dropped(&mut says).await;
    assert!(!seen.contains(&"all"), "cut messages were taken for all: {seen:?}");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_both_streams_stops_the_operation() {
    let (app, _, mut says) = start().await;
    let call = RawCall::begin(&app, ECHO, None).await;
    call.send("a").await;
    call.reset().await;
    until_dropped(&mut says).await;
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn the_peers_deadline_ends_it_and_that_of_unary_calls_does_not() {
    let (bootstrap, _, mut says) = sample(chat);
    let app = soon(bootstrap.config("grpc.timeout", "1ms")).await.expect("it starts");
    for of in [JOIN, ECHO] {
        let call = RawCall::begin(&app, of, Some("100m")).await;
        call.send("a").await;
        assert_eq!(call.status(false).await, "4", "{of}");
        until_dropped(&mut says).await;
    }
    let call = RawCall::begin(&app, JOIN, None).await;
    call.send("a").await;
    assert_eq!(soon(says.recv()).await, Some("message"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(call.status(true).await, "0", "longer than 1 ms");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn at_a_stop_both_streams_end_with_unavailable() {
    let (app, ..) = start().await;
    let names = stream::iter([named("a")]).chain(stream::pending());
    let mut answers = talk(&app, names).await.expect("begins");
    soon(answers.message()).await.expect("no fault").expect("one");
    let (end, stopped) = soon(async { tokio::join!(answers.message(), app.close()) }).await;
    stopped.expect("stops cleanly");
    let status = end.expect_err("it is over");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(fault_from_status(&status).reason(), "STOPPING");
}

struct Marks;

#[async_trait]
impl Interceptor for Marks {
    async fn intercept(&self, call: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let mut reply = next.run(call).await?;
        reply.headers_mut().insert("x-marked", HeaderValue::from_static("yes"));
        Ok(reply)
    }
}

#[tokio::test]
async fn guards_decide_before_a_message_is_read_and_interceptors_see_the_reply() {
    let (bootstrap, _, mut says) = sample(|m| {
        let locked = |_: &Context| -> Result<(), Fault> {
            Err(Fault::permission_denied("LOCKED", "nobody gets in"))
        };
        let refused = join.pipeline(|p| p.guard(locked));
        let marked = first.pipeline(|p| p.interceptor(Marks));
        m.grpc(|s| {
            s.client_streaming::<HelloRequest, HelloReply>(JOIN, refused)
                .client_streaming::<HelloRequest, HelloReply>(FIRST, marked)
        });
    });
    let app = soon(bootstrap).await.expect("it starts");
    let answer = call(&app, JOIN, &[], framed(&named("a"))).await;
    assert_eq!(answer.grpc_status(), Some("7"));
    assert!(says.try_recv().is_err(), "the operation was called");
    let answer = call(&app, FIRST, &[], framed(&named("a"))).await;
    assert_eq!(answer.grpc_status(), Some("0"));
    assert_eq!(answer.headers["x-marked"], "yes");
    app.close().await.expect("stops cleanly");
}

/// A client that never stops sending to an operation that reads nothing more.
#[tokio::test]
async fn a_client_sends_no_faster_than_the_operation_reads() {
    let (bootstrap, gate, mut says) = sample(|m| {
        m.grpc(|s| s.client_streaming::<HelloRequest, HelloReply>(JOIN, slow));
    });
    let app = soon(bootstrap).await.expect("it starts");
    let call = RawCall::begin(&app, JOIN, None).await;
    let message = Bytes::from(framed(&named(&"x".repeat(1 << 20))));
    let (mut sent, more) = (0, Duration::from_millis(500));
    while let Ok(Ok(())) = timeout(more, call.frames.send(Ok(message.clone()))).await {
        sent += 1;
        assert!(sent < 64, "64 MiB went to an operation that reads one message");
    }
    assert_eq!(soon(says.recv()).await, Some("begun"));
    gate.open();
    assert_eq!(call.status(true).await, "0");
    app.close().await.expect("stops cleanly");
}

/// Reads one message, and the rest when the gate is open.
async fn slow(Inject(gate): Inject<Gate>, mut names: Messages<Name>) -> Result<Text, Fault> {
    names.message().await?;
    gate.pass().await;
    while names.message().await?.is_some() {}
    Ok(Text(String::new()))
}
