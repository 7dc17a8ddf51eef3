//! From HTTP to WebSocket (RFC 6455, section 4).

use polyport_bootstrap::{Fault, Module, ModuleBuilder, Result};
use polyport_websocket::{Socket, WebSocketModule, testing::WebSocketTest};

use crate::support::{HANDSHAKE, Raw, address, chat, masked, start};

/// The handshake with one header replaced, or left out where that is empty.
fn with<'a>(name: &str, header: &'a str) -> Vec<&'a str> {
    let others = HANDSHAKE.into_iter().filter(|line| !line.starts_with(name));
    others.chain([header]).filter(|line| !line.is_empty()).collect()
}

#[tokio::test]
async fn a_proper_handshake_is_accepted_in_any_spelling() {
    let (app, _) = start().await;
    for headers in [
        HANDSHAKE.to_vec(),
        with("Upgrade", "upgrade: WebSocket"),
        with("Connection", "CONNECTION: keep-alive, upgrade"),
    ] {
        let head = Raw::connect(address(&app)).await.request("GET /ws", &headers).await;
        assert!(head.starts_with("http/1.1 101 "), "{headers:?} got {head}");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn whoever_speaks_no_websocket_is_told_to_upgrade() {
    let (app, _) = start().await;
    for headers in [vec![], with("Upgrade", ""), with("Upgrade", "Upgrade: h2c"), with("Conn", "")]
    {
        let mut client = Raw::connect(address(&app)).await;
        let head = client.request("GET /ws", &headers).await;
        assert!(head.starts_with("http/1.1 426 "), "{headers:?} got {head}");
        assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
        let body = client.body(&head).await;
        assert!(body.starts_with(r#"{"returnCode":"ERR42600","#), "{body}");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn another_version_learns_which_one_is_spoken() {
    let (app, _) = start().await;
    for version in ["Sec-WebSocket-Version: 12", "Sec-WebSocket-Version: 8, 13", ""] {
        let headers = with("Sec-WebSocket-Version", version);
        let head = Raw::connect(address(&app)).await.request("GET /ws", &headers).await;
        assert!(head.starts_with("http/1.1 426 "), "{head}");
        assert!(head.contains("\r\nsec-websocket-version: 13\r\n"), "{head}");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_bad_key_is_a_bad_request() {
    let (app, _) = start().await;
    for key in ["", "Sec-WebSocket-Key: short==", "Sec-WebSocket-Key: ??????????????????????=="] {
        let headers = with("Sec-WebSocket-Key", key);
        let head = Raw::connect(address(&app)).await.request("GET /ws", &headers).await;
        assert!(head.starts_with("http/1.1 400 "), "{key} got {head}");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_the_envelope() {
    let (app, _) = start().await;
    let mut client = Raw::connect(address(&app)).await;
    for (line, code) in [("GET /", 404), ("GET /ws/", 404), ("POST /ws", 405)] {
        let head = client.request(line, &HANDSHAKE).await;
        assert!(head.starts_with(&format!("http/1.1 {code} ")), "{line} got {head}");
        assert!(code != 405 || head.contains("\r\nallow: get\r\n"), "{head}");
        assert!(client.body(&head).await.contains(&format!("ERR{code}00")));
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_query_belongs_to_the_path() {
    let (app, _) = start().await;
    let head = Raw::connect(address(&app)).await.request("GET /ws?token=x", &HANDSHAKE).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    app.close().await.unwrap();
}

async fn spoken(socket: Socket) -> Result<Option<String>, Fault> {
    Ok(socket.subprotocol().map(str::to_owned))
}

struct Speaking;

impl Module for Speaking {
    fn name(&self) -> &'static str {
        "speaking"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.websocket(|g| g.on("spoken", spoken));
        Ok(())
    }
}

#[tokio::test]
async fn the_servers_first_subprotocol_that_is_offered_is_spoken() {
    let subprotocols = ["chat.v2", "chat.v1"];
    let app = chat(Speaking).config("websocket.subprotocols", subprotocols).await.unwrap();
    for (offers, agreed) in
        [("chat.v1, chat.v2", Some("chat.v2")), ("chat.v1", Some("chat.v1")), ("chat.v3", None)]
    {
        let offer = format!("Sec-WebSocket-Protocol: {offers}");
        let headers = [HANDSHAKE.as_slice(), &[&offer]].concat();
        let head = Raw::connect(address(&app)).await.request("GET /ws", &headers).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        let line = agreed.map(|name| format!("\r\nsec-websocket-protocol: {name}\r\n"));
        assert_eq!(head.contains("sec-websocket-protocol"), agreed.is_some(), "{head}");
        assert!(line.is_none_or(|line| head.contains(&line)), "{head}");
    }
    let mut client = app.websocket("/ws").subprotocol("soap").subprotocol("chat.v1").await;
    assert_eq!(client.subprotocol(), Some("chat.v1"));
    assert_eq!(client.call("spoken", &()).await["data"]["data"], "chat.v1");
    let mut without = app.websocket("/ws").await;
    assert_eq!(without.subprotocol(), None);
    assert!(without.call("spoken", &()).await["data"]["data"].is_null());
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_subprotocol_can_be_required() {
    let app = chat(Speaking)
        .config("websocket.subprotocols", ["chat"])
        .config("websocket.require_subprotocol", true)
        .await
        .unwrap();
    for offer in ["X-Other: 1", "Sec-WebSocket-Protocol: soap", "Sec-WebSocket-Protocol: a b"] {
        let headers = [HANDSHAKE.as_slice(), &[offer]].concat();
        let mut client = Raw::connect(address(&app)).await;
        let head = client.request("GET /ws", &headers).await;
        assert!(head.starts_with("http/1.1 400 "), "{offer} got {head}");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_unless_they_are_named() {
    let app = chat(Speaking).config("websocket.origins", ["https://app.example"]).await.unwrap();
    for (origin, status) in [
        ("Origin: http://test", 101),
        ("Origin: https://app.example", 101),
        ("Origin: https://evil.example", 403),
        ("Origin: null", 403),
    ] {
        let headers = [HANDSHAKE.as_slice(), &[origin]].concat();
        let mut client = Raw::connect(address(&app)).await;
        let head = client.request("GET /ws", &headers).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{origin} got {head}");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn an_event_that_comes_with_the_handshake_is_answered() {
    let (app, _) = start().await;
    for _ in 0..50 {
        let mut client = Raw::connect(address(&app)).await;
        let request =
            format!("GET /ws HTTP/1.1\r\nHost: test\r\n{}\r\n\r\n", HANDSHAKE.join("\r\n"));
        let first = masked(0x81, br#"{"event":"nothing","id":1}"#);
        let second = masked(0x81, br#"{"event":"nothing","id":2}"#);
        client.write([request.as_bytes(), &first, &second].concat()).await;
        let head = client.head().await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        for id in [1, 2] {
            let length = client.read(2).await[1];
            let answer = String::from_utf8(client.read(length.into()).await).unwrap();
            assert!(answer.contains(&format!(r#""id":{id}"#)), "{answer}");
        }
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn half_an_event_with_the_handshake_waits_for_its_other_half() {
    let (app, _) = start().await;
    let mut client = Raw::connect(address(&app)).await;
    let request = format!("GET /ws HTTP/1.1\r\nHost: test\r\n{}\r\n\r\n", HANDSHAKE.join("\r\n"));
    let event = masked(0x81, br#"{"event":"nothing","id":1}"#);
    let (begin, rest) = event.split_at(7);
    client.write([request.as_bytes(), begin].concat()).await;
    client.head().await;
    client.write(rest).await;
    let length = client.read(2).await[1];
    let answer = String::from_utf8(client.read(length.into()).await).unwrap();
    assert!(answer.contains(r#""id":1"#), "{answer}");
    app.close().await.unwrap();
}
