//! Unary calls of operations, by a generated client and by hand.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use std::time::Duration;

use polyport_bootstrap::{Fault, operation::Input, testing::TestApp};
use polyport_grpc::{GrpcModule, GrpcOperations, fault_from_status, testing::GrpcTest};
use polyport_proto::{
    helloworld::{HelloReply, greeter_client::GreeterClient},
    im::v1::{GetUserRequest, user_service_client::UserServiceClient},
};
use prost::Message;
use support::{SAY_HELLO, all, call, framed, named, sample, soon, start};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

#[tokio::test]
async fn an_operation_answers_a_generated_client() {
    let app = start().await;
    let mut client = app.grpc(GreeterClient::new);
    let reply = soon(client.say_hello(named("Tom"))).await.expect("answered");
    assert_eq!(reply.into_inner().message, "Hello Tom!");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn an_operation_without_input_and_value_is_served() {
    let app = start().await;
    let answer = call(&app, "test.v1.Test/Nothing", &[], framed(&())).await;
    assert_eq!(answer.grpc_status(), Some("0"));
    assert_eq!(&answer.body[..], [0, 0, 0, 0, 0]);
    app.close().await.expect("stops cleanly");
}

/// A message that says itself what is valid.
#[derive(Clone, PartialEq, Message, garde::Validate)]
struct Word {
    #[prost(string, tag = "1")]
    #[garde(length(max = 3))]
    text: String,
}

async fn twice(Input(word): Input<Word>) -> Result<Word, Fault> {
    Ok(Word { text: word.text.repeat(2) })
}

#[tokio::test]
async fn a_message_can_be_the_input_and_the_value_themselves() {
    let (bootstrap, ..) = sample(|m| {
        m.grpc(|s| s.unary::<Word, Word>("test.v1.Test/Twice", twice));
    });
    let app = soon(bootstrap).await.expect("it starts");
    let word = |text: &str| framed(&Word { text: text.to_owned() });
    let answer = call(&app, "test.v1.Test/Twice", &[], word("abc")).await;
    assert_eq!(answer.body, word("abcabc"));
    let answer = call(&app, "test.v1.Test/Twice", &[], word("abcd")).await;
    assert_eq!(answer.grpc_status(), Some("3"));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_message_is_followed_by_the_status_in_trailers_and_stands_alone_nowhere() {
    let app = start().await;
    let answer = call(&app, SAY_HELLO, &[], framed(&named("Tom"))).await;
    assert_eq!((answer.status.as_u16(), answer.headers.get("grpc-status")), (200, None));
    assert_eq!(answer.headers["content-type"], "application/grpc");
    assert_eq!(answer.trailers.expect("trailers")["grpc-status"], "0");
    app.close().await.expect("stops cleanly");
}

async fn fault_of(name: &str) -> Status {
    let app = start().await;
    let mut client = app.grpc(GreeterClient::new);
    let status = soon(client.say_hello(named(name))).await.expect_err("a fault");
    let reply = soon(client.say_hello(named("Tom"))).await.expect("the connection lives on");
    assert_eq!(reply.into_inner().message, "Hello Tom!");
    app.close().await.expect("stops cleanly");
    status
}

#[tokio::test]
async fn an_invalid_message_names_its_faulty_fields() {
    let status = fault_of("").await;
    assert_eq!(status.code(), Code::InvalidArgument);
    let request = status.get_details_bad_request().expect("a BadRequest");
    assert_eq!(request.field_violations.len(), 1);
    assert_eq!(request.field_violations[0].field, "name");
    assert_eq!(request.field_violations[0].description, "length is lower than 1");
}

#[tokio::test]
async fn a_fault_carries_its_reason_and_code() {
    let status = fault_of("nobody").await;
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such user"));
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("USER_NOT_FOUND", "polyport"));
    assert_eq!(info.metadata["code"], "4711");
    let id = status.metadata().get("x-request-id").expect("an id").to_str().expect("text");
    assert_eq!(info.metadata["request_id"], id);
    let fault = fault_from_status(&status);
    assert_eq!((fault.reason(), fault.code()), ("USER_NOT_FOUND", Some("4711")));
}

#[tokio::test]
async fn a_panic_is_internal_and_tells_nothing() {
    let status = fault_of("panic").await;
    assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
}

#[tokio::test]
async fn unknown_services_and_methods_are_unimplemented() {
    let app = start().await;
    let mut users = app.grpc(UserServiceClient::new);
    let request = GetUserRequest { user_id: "tom".to_owned() };
    let status = soon(users.get_user(request)).await.expect_err("no such service");
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(fault_from_status(&status).reason(), "UNKNOWN_SERVICE");
    for (path, reason) in [
        ("helloworld.Greeter/Nope", "UNKNOWN_METHOD"),
        ("helloworld.Greeter/SayHello/", "UNKNOWN_METHOD"),
        ("helloworld.Greeter", "UNKNOWN_METHOD"),
        ("", "UNKNOWN_SERVICE"),
    ] {
        let answer = call(&app, path, &[], Vec::new()).await;
        assert_eq!((answer.status.as_u16(), answer.grpc_status()), (200, Some("12")), "{path}");
        assert!(answer.trailers.is_none() && answer.body.is_empty(), "trailers only");
        let status = Status::from_header_map(&answer.headers).expect("a status");
        assert_eq!(fault_from_status(&status).reason(), reason, "{path}");
    }
    app.close().await.expect("stops cleanly");
}

async fn greet(
    app: &TestApp,
    request: Request<polyport_proto::helloworld::HelloRequest>,
) -> Result<String, Status> {
    let mut client = app.grpc(GreeterClient::new);
    Ok(soon(client.say_hello(request)).await?.into_inner().message)
}

#[tokio::test]
async fn the_peers_deadline_ends_a_call_and_drops_it() {
    let (bootstrap, _, mut begins) = sample(all);
    let app = soon(bootstrap).await.expect("it starts");
    let answer = call(&app, SAY_HELLO, &[("grpc-timeout", "50m")], framed(&named("forever"))).await;
    assert_eq!(answer.grpc_status(), Some("4"));
    assert_eq!(soon(begins.recv()).await, Some("begun"));
    assert_eq!(soon(begins.recv()).await, Some("dropped"));
    for (header, expected) in [("99999999H", "0"), ("0n", "4"), ("soon", "3"), ("1s", "3")] {
        let headers = [("grpc-timeout", header)];
        let answer = call(&app, SAY_HELLO, &headers, framed(&named("Tom"))).await;
        assert_eq!(answer.grpc_status(), Some(expected), "{header}");
    }
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn the_settings_limit_how_long_a_call_takes() {
    let (bootstrap, ..) = sample(all);
    let app = soon(bootstrap.config("grpc.timeout", "50ms")).await.expect("it starts");
    let status = greet(&app, Request::new(named("forever"))).await.expect_err("too long");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    app.close().await.expect("stops cleanly");

    let (bootstrap, ..) = sample(all);
    let app = soon(bootstrap.config("grpc.timeout", "0s")).await.expect("it starts");
    let answer = greet(&app, Request::new(named("deadline"))).await;
    assert_eq!(answer.expect("answered"), "false");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_message_that_never_comes_is_not_waited_for_beyond_the_deadline() {
    let app = start().await;
    let stream = tokio::net::TcpStream::connect(support::address(&app)).await.expect("connects");
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .expect("speaks HTTP/2");
    tokio::spawn(connection);
    let (_never_sent, body) = tokio::sync::mpsc::unbounded_channel::<bytes::Bytes>();
    let body = futures_util::stream::unfold(body, |mut body| async move {
        let bytes = body.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(http_body::Frame::data(bytes)), body))
    });
    let request = http::Request::post(format!("http://localhost/{SAY_HELLO}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "50m")
        .body(http_body_util::StreamBody::new(Box::pin(body)))
        .expect("a request");
    let answer = soon(sender.send_request(request)).await.expect("answered");
    assert_eq!(answer.headers()["grpc-status"], "4");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_client_that_leaves_drops_the_call() {
    let (bootstrap, _, mut begins) = sample(all);
    let app = soon(bootstrap).await.expect("it starts");
    let channel = app.grpc(|channel| channel);
    let call =
        tokio::spawn(async move { GreeterClient::new(channel).say_hello(named("forever")).await });
    assert_eq!(soon(begins.recv()).await, Some("begun"));
    call.abort();
    assert_eq!(soon(begins.recv()).await, Some("dropped"));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn metadata_and_the_peer_reach_the_operation() {
    let app = start().await;
    let mut request = Request::new(named("header"));
    request.metadata_mut().insert("x-tenant", "acme".parse().expect("ASCII"));
    assert_eq!(greet(&app, request).await.expect("answered"), "Some(\"acme\")");
    assert_eq!(greet(&app, Request::new(named("peer"))).await.expect("answered"), "true");
    assert_eq!(greet(&app, Request::new(named("deadline"))).await.expect("answered"), "true");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn the_request_id_is_the_peers_and_comes_back() {
    let app = start().await;
    let answer = call(&app, SAY_HELLO, &[("x-request-id", "abc-1")], framed(&named("id"))).await;
    assert_eq!(answer.headers["x-request-id"], "abc-1");
    let reply = HelloReply::decode(&answer.body[5..]).expect("a reply");
    assert_eq!(reply.message, "abc-1");

    let answer = call(&app, SAY_HELLO, &[], framed(&named("id"))).await;
    let reply = HelloReply::decode(&answer.body[5..]).expect("a reply");
    assert_eq!(
        (answer.headers["x-request-id"].to_str().ok(), reply.message.len()),
        (Some(reply.message.as_str()), 36)
    );
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_one_at_it_is_taken() {
    let (bootstrap, ..) = sample(all);
    let app = soon(bootstrap.config("grpc.max_message_size", 1000)).await.expect("it starts");
    // A string of up to 16,383 bytes has three bytes before it: its field and its length.
    let fitting = greet(&app, Request::new(named(&"x".repeat(997)))).await;
    assert_eq!(fitting.expect("it fits").len(), 997 + "Hello !".len());
    let status = greet(&app, Request::new(named(&"x".repeat(998)))).await.expect_err("too large");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(fault_from_status(&status).reason(), "MESSAGE_TOO_LARGE");
    let announced = [0, 0xff, 0xff, 0xff, 0xff].to_vec();
    let answer = call(&app, SAY_HELLO, &[], announced).await;
    assert_eq!(answer.grpc_status(), Some("8"));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn what_is_not_one_message_is_answered_with_a_status() {
    let app = start().await;
    let one = framed(&named("Tom"));
    for (body, status, case) in [
        (Vec::new(), "12", "no message"),
        ([one.clone(), one.clone()].concat(), "12", "two messages"),
        (one[..one.len() - 1].to_vec(), "13", "half a message"),
        ([&[7], &one[1..]].concat(), "13", "an unknown flag"),
        ([&[1], &one[1..]].concat(), "13", "compressed by nothing"),
        ([&[0, 0, 0, 0, 2], &[0xff, 0xff][..]].concat(), "3", "not protobuf"),
    ] {
        let answer = call(&app, SAY_HELLO, &[], body).await;
        assert_eq!((answer.status.as_u16(), answer.grpc_status()), (200, Some(status)), "{case}");
        let status = Status::from_header_map(&answer.headers).expect("a status");
        assert!(status.get_details_error_info().is_some(), "{case} has an ErrorInfo");
    }
    let answer = call(&app, SAY_HELLO, &[("grpc-encoding", "zstd")], one).await;
    assert_eq!(answer.grpc_status(), Some("12"), "an encoding that is not there");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_hundred_calls_share_a_connection() {
    let app = start().await;
    let client = app.grpc(GreeterClient::new);
    let calls = (0..100).map(|number| {
        let mut client = client.clone();
        async move {
            let name = number.to_string();
            let reply = client.say_hello(named(&name)).await.expect("answered").into_inner();
            assert_eq!(reply.message, format!("Hello {name}!"));
        }
    });
    tokio::time::timeout(Duration::from_secs(20), futures_util::future::join_all(calls))
        .await
        .expect("it hangs");
    app.close().await.expect("stops cleanly");
}
