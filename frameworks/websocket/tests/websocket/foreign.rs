//! A client that shares no code with the server: tokio-websockets.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL};
use polyport_bootstrap::{
    Fault, Module, ModuleBuilder, Result,
    operation::{Body, Raw},
    testing::TestApp,
};
use polyport_websocket::WebSocketModule;
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, CloseCode, Config, Limits, Message, WebSocketStream};

use crate::support::{address, chat, within};

struct Echo;

async fn echo(Body(bytes): Body) -> Result<Raw, Fault> {
    Ok(Raw::new("application/octet-stream", bytes))
}

impl Module for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.websocket(|g| g.on_text(echo).on_binary(echo));
        Ok(())
    }
}

type Foreign = WebSocketStream<TcpStream>;

/// Connects, cuts messages into frames of this size, and says what subprotocol was agreed on.
async fn connect(app: &TestApp, frame_size: usize, offer: &'static str) -> (Foreign, String) {
    let tcp = within(TcpStream::connect(address(app))).await.unwrap();
    let builder = ClientBuilder::new()
        .uri("ws://localhost/ws")
        .unwrap()
        .config(Config::default().frame_size(frame_size))
        .limits(Limits::unlimited())
        .add_header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offer))
        .unwrap();
    let (client, response) = within(builder.connect_on(tcp)).await.unwrap();
    let agreed = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
    let agreed = agreed.map_or("", |agreed| agreed.to_str().unwrap());
    (client, agreed.to_owned())
}

async fn start() -> TestApp {
    let app = chat(Echo).config("websocket.subprotocols", serde_json::json!(["v2", "v1"]));
    app.await.unwrap()
}

#[tokio::test]
async fn messages_of_every_length_come_back_however_they_are_cut() {
    let app = start().await;
    for frame_size in [1000, usize::MAX] {
        let (mut client, _) = connect(&app, frame_size, "v1").await;
        for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
            let text = "é".repeat(length / 2);
            within(client.send(Message::text(text.clone()))).await.unwrap();
            let answer = within(client.next()).await.unwrap().unwrap();
            assert!(answer.as_text() == Some(&*text), "text of {length} bytes: {answer:?}");

            let bytes = Bytes::from(vec![0xff; length]);
            within(client.send(Message::binary(bytes.clone()))).await.unwrap();
            let answer = within(client.next()).await.unwrap().unwrap();
            assert!(answer.is_binary() && **answer.as_payload() == *bytes, "{length} bytes");
        }
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn pings_subprotocols_and_close_codes_are_understood() {
    let app = start().await;
    for (code, reason) in [(1000, "bye"), (1001, ""), (3000, "ö"), (4999, "mine")] {
        let (mut client, agreed) = connect(&app, usize::MAX, "v1, v2").await;
        assert_eq!(agreed, "v2");
        within(client.send(Message::ping(Bytes::from_static(b"are you there?")))).await.unwrap();
        let pong = within(client.next()).await.unwrap().unwrap();
        assert!(pong.is_pong() && **pong.as_payload() == *b"are you there?", "{pong:?}");

        let code = CloseCode::try_from(code).unwrap();
        within(client.send(Message::close(Some(code), reason))).await.unwrap();
        let close = within(client.next()).await.unwrap().unwrap();
        assert_eq!(close.as_close().unwrap().0, code);
        assert!(within(client.next()).await.is_none(), "the connection ends");
    }
    app.close().await.unwrap();
}
