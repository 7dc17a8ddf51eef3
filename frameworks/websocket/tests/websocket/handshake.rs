//! From HTTP to WebSocket (RFC 6455, section 4).

use crate::support::{HANDSHAKE, Raw, address, start};

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
