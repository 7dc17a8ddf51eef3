//! Input that is none: what no operation should ever see.

use polyport::{
    FaultKind,
    amqp::Message,
    grpc::fault_from_status,
    testing::{TestApp, *},
};
use prost_types::{Struct, Value as PbValue, value::Kind};
use tonic::{client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::{app, app::SERVICE};

/// More than any protocol takes by default.
const TOO_MUCH: usize = 9 << 20;

async fn started() -> TestApp {
    create_bootstrap(app::bootstrap()).root("no/such/folder").await.expect("starts")
}

async fn over_grpc<Req: prost::Message + 'static>(app: &TestApp, message: Req) -> FaultKind {
    let mut client = app.grpc(Grpc::new);
    client.ready().await.expect("is served");
    let path = PathAndQuery::try_from(format!("/{SERVICE}/echo")).expect("a path");
    let codec = ProstCodec::<Req, PbValue>::default();
    let answer = client.unary(tonic::Request::new(message), path, codec).await;
    fault_from_status(&answer.expect_err("is refused")).kind()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_input_is_refused_on_every_protocol_and_the_next_call_is_answered() {
    let app = started().await;
    let http = app.http().post("/echo").body("application/json", "{\"text\":").await;
    assert_eq!(http.fault().expect("is refused").kind(), FaultKind::InvalidArgument);

    let mut socket = app.websocket("/ws").await;
    socket.send_text("{\"event\":\"echo\",\"data\":").await;
    let exception = socket.expect_frame("exception").await;
    assert_eq!(exception["data"]["reason"], "MALFORMED_MESSAGE");
    let answer = socket.call("echo", &serde_json::json!({ "text": "hi" })).await;
    assert_eq!(answer["data"]["text"], "hi");

    // A bytes value: its field 1 is no entry of a map.
    assert_eq!(over_grpc(&app, vec![0xff_u8; 9]).await, FaultKind::InvalidArgument);

    let message = Message::new("", "echo", "{\"text\":").content_type("application/json");
    let reply = app.amqp().request_message(message).await;
    assert_eq!(reply.fault().expect("is refused").kind(), FaultKind::InvalidArgument);
    app.close().await.expect("stops cleanly");
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_input_is_refused_on_every_protocol_that_limits_it() {
    let app = started().await;
    let large = "x".repeat(TOO_MUCH);
    // Little enough to be read to its end, so that the client comes to read the answer.
    let http = app.http().post("/echo").body("application/json", "x".repeat(100_000)).await;
    assert_eq!(http.status(), 413);

    let mut socket = app.websocket("/ws").await;
    socket.send_text(&format!("{{\"event\":\"echo\",\"data\":{{\"text\":\"{large}\"}}}}")).await;
    assert_eq!(socket.expect_close().await.0, 1009);

    let text = PbValue { kind: Some(Kind::StringValue(large)) };
    let message = Struct { fields: [("text".to_owned(), text)].into_iter().collect() };
    assert_eq!(over_grpc(&app, message).await, FaultKind::ResourceExhausted);
    app.close().await.expect("stops cleanly");
}
