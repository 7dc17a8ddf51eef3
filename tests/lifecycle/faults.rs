//! What callers hear of operations that fail or panic, of guards that refuse, and of what there is not; and a
//! broker that is not there (`tests/fixtures/faults.rs`).

use std::{net::SocketAddr, time::Instant};

use futures_util::{SinkExt, StreamExt};
use polyport_proto::{
    helloworld::{HelloRequest, greeter_client::GreeterClient},
    im::v1::{GetUserRequest, user_service_client::UserServiceClient},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};
use tonic::Code;

use crate::{
    free_port::FreePort,
    program::{PATIENCE, Program, within},
};

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(http: SocketAddr, visitor: &'static str) -> Self {
        let url = format!("ws://{http}/ws");
        let mut request = url.into_client_request().expect("a URL");
        request.headers_mut().insert("x-visitor", HeaderValue::from_static(visitor));
        Self(within(tokio_tungstenite::connect_async(request)).await.expect("connects").0)
    }

    async fn emit(&mut self, event: &str, name: &str, id: u32) {
        let text = json!({ "event": event, "data": { "name": name }, "id": id }).to_string();
        self.0.send(Message::text(text)).await.expect("is sent");
    }

    async fn next(&mut self) -> Option<Message> {
        within(self.0.next()).await.transpose().ok().flatten()
    }

    async fn frame(&mut self) -> Value {
        let message = self.next().await.expect("is answered");
        serde_json::from_str(message.to_text().expect("is text")).expect("is JSON")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_client_hears_of_faults_panics_guards_and_unknown_events() {
    let mut program = Program::of("faults", &[]);
    let mut client = Client::connect(program.ready().of("http"), "tom").await;
    let wrong =
        [("act", "fail", 500), ("act", "panic", 500), ("guarded", "", 403), ("no.such", "", 404)];
    for (id, (event, name, status)) in (1..).zip(wrong) {
        client.emit(event, name, id).await;
        let frame = client.frame().await;
        assert_eq!(frame["event"], "exception", "{frame}");
        assert_eq!((&frame["id"], &frame["data"]["status"]), (&json!(id), &json!(status)));
    }
    client.emit("act", "fine", 9).await;
    let frame = client.frame().await;
    assert_eq!((&frame["event"], &frame["id"]), (&json!("act"), &json!(9)), "{frame}");
    let ended = program.stop();
    ended.assert_code(0);
    assert_eq!(ended.count("secret"), 1, "but for the connection itself: {}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_client_that_a_guard_refuses_is_told_closed_and_not_served() {
    let mut program = Program::of("faults", &[]);
    let mut client = Client::connect(program.ready().of("http"), "eve").await;
    client.emit("act", "sneaks", 1).await;
    let frame = client.frame().await;
    assert_eq!(frame["data"]["reason"], "NOT_YOU", "{frame}");
    let Some(Message::Close(Some(close))) = client.next().await else { panic!("is not closed") };
    assert_eq!(u16::from(close.code), 1008);
    assert_eq!(client.next().await, None);
    let ended = program.stop();
    ended.assert_code(0);
    assert_eq!([ended.count("secret"), ended.count("sneaks")], [0, 0], "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grpc_client_hears_at_once_of_faults_panics_and_guards() {
    let mut program = Program::of("faults", &[]);
    let url = format!("http://{}", program.ready().of("grpc"));
    let endpoint = tonic::transport::Endpoint::from_shared(url).expect("a URL");
    let channel = within(endpoint.connect()).await.expect("connects");
    let mut greeter = GreeterClient::new(channel.clone());
    let mut users = UserServiceClient::new(channel);
    let began = Instant::now();
    for name in ["fail", "panic"] {
        let request = HelloRequest { name: name.to_owned() };
        let status = within(greeter.say_hello(request)).await.expect_err("goes wrong");
        assert_eq!(status.code(), Code::Internal, "{status:?}");
    }
    let request = GetUserRequest { user_id: "tom".to_owned() };
    let status = within(users.get_user(request)).await.expect_err("is refused");
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    assert!(began.elapsed() < PATIENCE / 3, "{:?}", began.elapsed());
    let request = HelloRequest { name: "fine".to_owned() };
    let reply = within(greeter.say_hello(request)).await.expect("is still served");
    assert_eq!(reply.into_inner().message, "fine");
    let ended = program.stop();
    ended.assert_code(0);
    assert_eq!(ended.count("secret"), 0, "{}", ended.said);
}

#[test]
fn a_singleton_that_many_ask_for_at_once_is_built_once() {
    let mut program = Program::of("faults", &[]);
    program.ready();
    let ended = program.stop();
    ended.assert_code(0);
    assert_eq!([ended.count("built"), ended.count("one")], [1, 1], "{}", ended.said);
}

#[test]
fn a_broker_that_is_down_at_the_start_is_named_and_the_start_fails_at_once() {
    let [broker, http] = [(); 2].map(|()| FreePort::reserve());
    let broker = broker.address();
    let url = format!("amqp://tom:hunter2@{broker}/%2f");
    let (port, queue) = (http.number(), ("POLYPORT__FAULTS__QUEUE", "down"));
    let variables = [("POLYPORT__AMQP__URL", &*url), ("POLYPORT__HTTP__PORT", &*port), queue];
    let began = Instant::now();
    let ended = Program::of("faults", &variables).end();
    assert!(began.elapsed() < PATIENCE / 3, "{:?}", began.elapsed());
    ended.assert_code(69);
    ended.assert_says(&format!("the AMQP broker at {broker} cannot be reached"));
    ended.assert_says("stage: bind");
    assert!(!ended.said.contains("hunter2"), "{}", ended.said);
    std::net::TcpStream::connect(http.address()).expect_err("nothing is left behind");
}
