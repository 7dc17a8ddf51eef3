//! Services that tonic generates, beside operations.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use polyport_bootstrap::{ModuleBuilder, testing::TestApp};
use polyport_grpc::GrpcModule;
use polyport_grpc::{GrpcOperations, fault_from_status, testing::GrpcTest};
use polyport_proto::{
    helloworld::{
        HelloReply, HelloRequest, greeter_client::GreeterClient, greeter_server::GreeterServer,
    },
    im::v1::{
        Message, SendMessageRequest, SubscribeRequest, chat_service_client::ChatServiceClient,
        chat_service_server::ChatServiceServer,
    },
};
use support::{
    SAY_HELLO, TonicChat, TonicGreeter, call, framed, named, room, sample, soon, subscribe,
};
use tonic::{Code, Request, Status};

fn services(m: &mut ModuleBuilder<'_>) {
    m.grpc(|s| {
        s.service(GreeterServer::new(TonicGreeter)).service(ChatServiceServer::new(TonicChat))
    });
}

async fn serving(routes: fn(&mut ModuleBuilder<'_>)) -> TestApp {
    soon(sample(routes).0).await.expect("it starts")
}

#[tokio::test]
async fn a_generated_service_answers() {
    let app = serving(services).await;
    let mut client = app.grpc(GreeterClient::new);
    let reply = soon(client.say_hello(named("Tom"))).await.expect("answered");
    assert_eq!(reply.into_inner().message, "tonic says hello to Tom");
    let status = soon(client.say_hello(named("nobody"))).await.expect_err("a status");
    assert_eq!((status.code(), status.message()), (Code::NotFound, "from tonic"));
    let answer = call(&app, "helloworld.Greeter/Nope", &[], Vec::new()).await;
    assert_eq!(answer.grpc_status(), Some("12"));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn the_request_id_is_given_to_it_and_comes_back() {
    let app = serving(services).await;
    let answer = call(&app, SAY_HELLO, &[("x-request-id", "abc-3")], framed(&named("id"))).await;
    assert_eq!(answer.headers["x-request-id"], "abc-3");
    assert_eq!(answer.body, framed(&HelloReply { message: "abc-3".to_owned() }));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn its_panics_are_internal_and_the_connection_lives_on() {
    let app = serving(services).await;
    let channel = app.grpc(|channel| channel);
    let mut client = GreeterClient::new(channel.clone());
    let status = soon(client.say_hello(named("panic"))).await.expect_err("a panic");
    assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
    let mut chat = ChatServiceClient::new(channel);
    let mut stream = soon(chat.subscribe(room("panic"))).await.expect("begins").into_inner();
    let status = soon(stream.message()).await.expect_err("a panic");
    assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
    soon(client.say_hello(named("Tom"))).await.expect("answered");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn the_peers_deadline_holds_for_it() {
    let app = serving(services).await;
    let headers = [("grpc-timeout", "50m")];
    let answer = call(&app, SAY_HELLO, &headers, framed(&named("forever"))).await;
    assert_eq!(answer.grpc_status(), Some("4"));
    let path = "im.v1.ChatService/Subscribe";
    let answer = call(&app, path, &headers, framed(&room("lobby"))).await;
    assert_eq!((answer.body.is_empty(), answer.grpc_status()), (false, Some("4")));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn its_open_streams_end_with_unavailable_at_the_stop() {
    let app = serving(services).await;
    let mut chat = app.grpc(ChatServiceClient::new);
    let mut stream = soon(chat.subscribe(room("lobby"))).await.expect("begins").into_inner();
    assert_eq!(soon(stream.message()).await.expect("lives").expect("an item").text, "one");
    let (end, stopped) = soon(async { tokio::join!(stream.message(), app.close()) }).await;
    stopped.expect("stops cleanly");
    let status = end.expect_err("it is over");
    assert_eq!(
        (status.code(), fault_from_status(&status).reason()),
        (Code::Unavailable, "STOPPING")
    );
}

#[tokio::test]
async fn an_operation_takes_over_one_of_its_methods() {
    let app = serving(|m| {
        services(m);
        m.grpc(|s| {
            s.server_streaming::<SubscribeRequest, Message>(
                "im.v1.ChatService/Subscribe",
                subscribe,
            )
        });
    })
    .await;
    let mut chat = app.grpc(ChatServiceClient::new);
    let mut stream = soon(chat.subscribe(room("lobby"))).await.expect("begins").into_inner();
    for text in ["one", "two"] {
        assert_eq!(soon(stream.message()).await.expect("lives").expect("an item").text, text);
    }
    assert!(soon(stream.message()).await.expect("an ordinary end").is_none());
    let sent = soon(chat.send_message(SendMessageRequest::default())).await.expect("answered");
    assert_eq!(sent.into_inner().id, "tonic");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_service_with_an_interceptor_is_served() {
    let app = serving(|m| {
        let refuse = |request: Request<()>| match request.metadata().contains_key("x-key") {
            true => Ok(request),
            false => Err(Status::unauthenticated("no key")),
        };
        m.grpc(|s| s.service(GreeterServer::with_interceptor(TonicGreeter, refuse)));
    })
    .await;
    let mut client = app.grpc(GreeterClient::new);
    let status = soon(client.say_hello(named("Tom"))).await.expect_err("no key");
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut request = Request::new(HelloRequest { name: "Tom".to_owned() });
    request.metadata_mut().insert("x-key", "1".parse().expect("ASCII"));
    soon(client.say_hello(request)).await.expect("answered");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_message_over_its_limit_exhausts_a_resource_as_that_of_an_operation_does() {
    let app = serving(|m| {
        let greeter = GreeterServer::new(TonicGreeter).max_decoding_message_size(16);
        m.grpc(|s| s.service(greeter));
    });
    let app = app.await;
    let mut client = app.grpc(GreeterClient::new);
    let status = soon(client.say_hello(named(&"x".repeat(17)))).await.expect_err("too large");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(fault_from_status(&status).reason(), "MESSAGE_TOO_LARGE");
    soon(client.say_hello(named("Tom"))).await.expect("the connection lives on");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn its_content_type_is_looked_at_too() {
    let app = serving(services).await;
    let headers = [("content-type", "application/json")];
    let answer = call(&app, SAY_HELLO, &headers, framed(&named("Tom"))).await;
    assert_eq!(answer.status.as_u16(), 415);
    app.close().await.expect("stops cleanly");
}
