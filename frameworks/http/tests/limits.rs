//! What the listener limits, as HTTP answers it, and where else it listens.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use polyport_bootstrap::testing::create_bootstrap;
use polyport_http::testing::HttpTest;
use serde_json::json;
use support::{address, bootstrap, hello, post, within};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("is answered");
    answer
}

#[tokio::test]
async fn a_body_that_stands_still_is_408_in_the_envelope_and_the_last_of_its_connection() {
    within(async {
        let app = create_bootstrap(bootstrap(|r| r.post("/echo", post)))
            .config("http.limits.body_grace", "100ms")
            .config("http.envelope", "return-code")
            .await
            .expect("it starts");
        let stream = TcpStream::connect(address(&app)).await.expect("connects");
        let request = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                       content-length: 100\r\n\r\n{";
        let answer = ask(stream, request).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("connection: close") && answer.contains("ERR40800"), "{answer}");
        app.close().await.expect("it stops");
    })
    .await;
}

#[tokio::test]
async fn further_addresses_are_served_too() {
    within(async {
        let path = std::env::temp_dir().join(format!("polyport-http-{}.sock", std::process::id()));
        let addresses = json!(["127.0.0.1:7099", format!("unix:{}", path.display())]);
        let app = create_bootstrap(bootstrap(|r| r.get("/hello", hello)))
            .config("http.addresses", addresses)
            .await
            .expect("free ports are taken for all");
        let stream = UnixStream::connect(&path).await.expect("connects");
        let answer =
            ask(stream, "GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("hello"), "{answer}");
        assert_eq!(app.http().get("/hello").await.status(), 200);
        app.close().await.expect("it stops");
        assert!(!path.exists());
    })
    .await;
}

#[tokio::test]
async fn certificates_that_are_not_there_are_named_by_key_and_file() {
    within(async {
        let start = create_bootstrap(bootstrap(|r| r))
            .config("http.tls.certificate", "no/such.pem")
            .config("http.tls.key", "no/such.key");
        let report = format!("{:?}", start.await.expect_err("there is no certificate"));
        assert!(
            report.contains("http.tls.certificate (") && report.contains("such.pem"),
            "{report}"
        );
        assert!(report.contains("help: "), "{report}");
    })
    .await;
}

#[tokio::test]
async fn senseless_settings_of_the_listener_are_named_by_their_keys() {
    within(async {
        let start = create_bootstrap(bootstrap(|r| r))
            .config("http.addresses", json!(["nonsense"]))
            .config("http.limits.http2.streams", 0)
            .config("http.trusted_proxies", json!(["10.0.0.0/33"]));
        let report = format!("{:?}", start.await.expect_err("three faults"));
        for key in ["http.addresses", "http.limits.http2.streams", "http.trusted_proxies"] {
            assert!(report.contains(key), "{key} is not in {report}");
        }
    })
    .await;
}
