//! WebSocket over HTTP/2 (RFC 8441).

use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, Response, Version};
use hyper::{body::Incoming, client::conn::http2, ext::Protocol};
use hyper_util::rt::{TokioExecutor, TokioIo};
use polyport_bootstrap::testing::TestApp;
use polyport_listener::ResponseBody;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use crate::support::{Chat, address, answer, chat, start, websocket, within};

type Sender = http2::SendRequest<ResponseBody>;
type Client = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// A connection whose settings are known.
async fn connect(app: &TestApp) -> Sender {
    let stream = TokioIo::new(TcpStream::connect(address(app)).await.unwrap());
    let (mut sender, connection) =
        within(http2::handshake(TokioExecutor::new(), stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://{}/", address(app)));
    let request = request.version(Version::HTTP_2).body(ResponseBody::empty()).unwrap();
    assert_eq!(within(sender.send_request(request)).await.unwrap().status(), 404);
    sender
}

async fn ask(
    app: &TestApp,
    sender: &mut Sender,
    protocol: Option<&'static str>,
    headers: &[(&str, &str)],
) -> Response<Incoming> {
    let uri = format!("http://{}/ws?x=1", address(app));
    let method = if protocol.is_some() { Method::CONNECT } else { Method::GET };
    let mut request = Request::builder().method(method).uri(uri).version(Version::HTTP_2);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(protocol) = protocol {
        request = request.extension(Protocol::from_static(protocol));
    }
    within(sender.send_request(request.body(ResponseBody::empty()).unwrap())).await.unwrap()
}

async fn open(app: &TestApp, sender: &mut Sender) -> Client {
    let response = ask(app, sender, Some("websocket"), &[("sec-websocket-version", "13")]).await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let upgraded = TokioIo::new(within(hyper::upgrade::on(response)).await.unwrap());
    WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await
}

async fn call(client: &mut Client, frame: Value) -> Value {
    within(client.send(Message::text(frame.to_string()))).await.unwrap();
    match within(client.next()).await {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
        other => panic!("no text, but {other:?}"),
    }
}

#[tokio::test]
async fn many_connections_share_one_of_http2() {
    let (app, _) = start().await;
    let mut sender = connect(&app).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(open(&app, &mut sender).await);
    }
    let asked = json!({ "event": "hello", "data": { "name": "tom" }, "id": 1 });
    for client in &mut clients {
        assert_eq!(call(client, asked.clone()).await, answer("hello", 1, json!("hello, tom")));
    }
    assert_eq!(websocket(&app).connections(), 5);
    let closing = tokio::spawn(app.close());
    for client in &mut clients {
        let mut code = None;
        while let Some(Ok(message)) = within(client.next()).await {
            if let Message::Close(Some(frame)) = message {
                code = Some(u16::from(frame.code));
            }
        }
        assert_eq!(code, Some(1001));
    }
    drop((clients, sender));
    within(closing).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_no_handshake_is_refused() {
    let app = chat(Chat::new()).config("websocket.subprotocols", ["chat"]).await.unwrap();
    let mut sender = connect(&app).await;
    let version = ("sec-websocket-version", "13");
    for (protocol, headers, status) in [
        (None, &[version][..], 400),
        (Some("other"), &[version], 400),
        (Some("websocket"), &[], 426),
        (Some("websocket"), &[("sec-websocket-version", "12")], 426),
    ] {
        let response = ask(&app, &mut sender, protocol, headers).await;
        assert_eq!(response.status(), status, "{protocol:?} {headers:?}");
    }
    let headers = [version, ("sec-websocket-protocol", "soap, chat")];
    let response = ask(&app, &mut sender, Some("websocket"), &headers).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["sec-websocket-protocol"]),
        (200, &"chat".parse().unwrap())
    );
    drop((response, sender));
    app.close().await.unwrap();
}
