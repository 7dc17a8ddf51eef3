//! Operations in a plain tonic server.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use std::sync::Arc;

use futures_util::stream;
use polyport_bootstrap::{
    Container, Context, Fault, FaultKind, ModuleBuilder,
    operation::{Ctx, Inject, Input, Items, OperationExt},
    testing::TestApp,
};
use polyport_grpc::{GrpcOperations, GrpcRoutes, GrpcService, GrpcSettings, fault_from_status};
use polyport_proto::{
    helloworld::{
        HelloReply, HelloRequest, greeter_client::GreeterClient, greeter_server::GreeterServer,
    },
    im::v1::{
        Message, SubscribeRequest, chat_service_client::ChatServiceClient,
        chat_service_server::ChatServiceServer,
    },
};
use support::{Greeting, Hello, SAY_HELLO, named, room, sample, soon};
use tokio::net::TcpListener;
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};

struct Word(&'static str);

/// The container of an application that serves nothing of this itself.
async fn application() -> TestApp {
    let module = |m: &mut ModuleBuilder<'_>| {
        m.provide_value(Arc::new(Word("Hi")));
    };
    soon(sample(module).0).await.expect("it starts")
}

fn logged_in(context: &Context) -> Result<(), Fault> {
    match context.metadata.get("x-user") {
        Some(_) => Ok(()),
        None => Err(Fault::unauthenticated("NO_USER", "who are you?")),
    }
}

async fn greet(
    Inject(word): Inject<Word>,
    Ctx(context): Ctx,
    Input(_): Input<Hello>,
) -> Result<Greeting, Fault> {
    Ok(Greeting::from_text(&format!("{} {}", word.0, context.request_id)))
}

async fn count() -> Result<Items<Message>, Fault> {
    let item = |text: &str| Ok::<_, Fault>(Message { text: text.to_owned(), ..Message::default() });
    Ok(Items::new(stream::iter(["1", "2"].map(item))))
}

async fn greeter(container: &Container) -> GrpcService<GreeterServer<()>> {
    let greet = greet.pipeline(|p| p.guard(logged_in));
    let routes = GrpcRoutes::default().unary::<HelloRequest, HelloReply>(SAY_HELLO, greet);
    routes.into_service(container, GrpcSettings::default()).await.expect("it fits")
}

async fn chat(container: &Container) -> GrpcService<ChatServiceServer<()>> {
    let path = "im.v1.ChatService/Subscribe";
    let routes = GrpcRoutes::default().server_streaming::<SubscribeRequest, Message>(path, count);
    routes.into_service(container, GrpcSettings::default()).await.expect("it fits")
}

/// A client of a plain server with both services.
async fn connected(app: &TestApp) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (greeter, chat) = (greeter(app.container()).await, chat(app.container()).await);
    let server = Server::builder().add_service(greeter).add_service(chat);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    soon(Endpoint::from_shared(url).expect("a URI").connect()).await.expect("connects")
}

#[tokio::test]
async fn a_plain_tonic_server_serves_an_operation_with_its_chain() {
    let app = application().await;
    let mut client = GreeterClient::new(connected(&app).await);
    let status = soon(client.say_hello(named("Tom"))).await.expect_err("no user");
    let fault = fault_from_status(&status);
    assert_eq!((fault.kind(), fault.reason()), (FaultKind::Unauthenticated, "NO_USER"));
    let mut request = Request::new(named("Tom"));
    for (name, value) in [("x-user", "tom"), ("x-request-id", "r-1")] {
        request.metadata_mut().insert(name, value.parse().expect("ASCII"));
    }
    let reply = soon(client.say_hello(request)).await.expect("answered");
    assert_eq!(reply.metadata().get("x-request-id").expect("an id"), "r-1");
    assert_eq!(reply.into_inner().message, "Hi r-1");
}

#[tokio::test]
async fn a_plain_tonic_server_streams_items_and_refuses_what_has_no_operation() {
    let app = application().await;
    let mut client = ChatServiceClient::new(connected(&app).await);
    let mut items = soon(client.subscribe(room("lobby"))).await.expect("begins").into_inner();
    for text in ["1", "2"] {
        assert_eq!(soon(items.message()).await.expect("lives").expect("an item").text, text);
    }
    assert!(soon(items.message()).await.expect("an ordinary end").is_none());
    let request = polyport_proto::im::v1::SendMessageRequest::default();
    let status = soon(client.send_message(request)).await.expect_err("has no operation");
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(fault_from_status(&status).reason(), "UNKNOWN_METHOD");
}

#[tokio::test]
async fn what_cannot_be_a_part_of_the_service_is_told_at_once() {
    let app = soon(sample(|_| {}).0).await.expect("it starts");
    let routes = GrpcRoutes::default()
        .unary::<HelloRequest, HelloReply>(SAY_HELLO, greet)
        .unary::<HelloRequest, HelloReply>("other.Service/SayHello", greet);
    let service =
        routes.into_service::<GreeterServer<()>>(app.container(), GrpcSettings::default()).await;
    let report = format!("{:?}", service.expect_err("two faults"));
    assert!(report.contains("Word") && report.contains("other.Service/SayHello"), "{report}");
}
