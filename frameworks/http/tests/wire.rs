//! What stands on the wire: framing, limits, malformed requests.

#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use polyport_bootstrap::{
    Fault,
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{HttpRoutes, testing::HttpTest};
use serde_json::Value;
use support::{Raw, address, bootstrap, hello, post, serve, within};

async fn panics() -> Result<(), Fault> {
    panic!("on purpose")
}

async fn nothing() -> Result<(), Fault> {
    Ok(())
}

fn routes(r: HttpRoutes) -> HttpRoutes {
    r.get("/hello", hello).post("/{room}", post).get("/panics", panics).get("/nothing", nothing)
}

async fn limited(limit: usize) -> TestApp {
    let app = create_bootstrap(bootstrap(routes)).config("http.body_limit", limit).await;
    app.expect("it starts")
}

async fn still_serves(raw: &mut Raw) {
    raw.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let reply = raw.reply().await;
    assert_eq!((reply.status(), reply.body.as_str()), (200, "\"hello\""));
}

#[tokio::test]
async fn one_connection_carries_on_over_faults_and_panics() {
    within(async {
        let app = serve(routes).await;
        let mut raw = Raw::connect(&app).await;
        for (request, status) in [
            ("GET /panics HTTP/1.1\r\nHost: a\r\n\r\n", 500),
            ("GET /unknown/x HTTP/1.1\r\nHost: a\r\n\r\n", 404),
            ("POST /unknown/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 404),
            ("DELETE /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 405),
            ("POST /r HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n{", 400),
            ("POST /r HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 1\r\n\r\n{", 415),
        ] {
            raw.send(request).await;
            assert_eq!(raw.reply().await.status(), status, "{request}");
            still_serves(&mut raw).await;
        }
    })
    .await;
}

#[tokio::test]
async fn head_sends_the_length_and_no_body_and_204_neither() {
    within(async {
        let app = serve(routes).await;
        let mut raw = Raw::connect(&app).await;
        raw.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(raw.reply_to(true).await.header("content-length"), Some("7"));
        raw.send("HEAD /unknown/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let reply = raw.reply_to(true).await;
        assert_eq!(reply.status(), 404);
        assert_ne!(reply.header("content-length"), Some("0"));
        raw.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let reply = raw.reply().await;
        assert_eq!((reply.status(), reply.header("content-length")), (204, None));
        still_serves(&mut raw).await;
    })
    .await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_announced_or_chunked() {
    within(async {
        let app = limited(16).await;
        let mut raw = Raw::connect(&app).await;
        for request in [
            format!(
                "POST /r HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n{}",
                r#"{"from":"tom456"}"#
            ),
            "POST /r HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             9\r\n{\"from\":\"\r\n8\r\ntom456\"}\r\n0\r\n\r\n"
                .to_owned(),
        ] {
            raw.send(&request).await;
            let reply = raw.reply().await;
            assert_eq!(reply.status(), 413, "{reply:?}");
            assert!(reply.body.contains("BODY_TOO_LARGE"), "{reply:?}");
            assert_eq!(reply.header("connection"), None);
            still_serves(&mut raw).await;
        }
        raw.send("POST /r HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        raw.send("8\r\n{\"from\":\r\n").await;
        raw.send("8\r\n\"tom12\"}\r\n0\r\n\r\n").await;
        assert_eq!(raw.reply().await.status(), 200, "16 bytes in two pieces");
    })
    .await;
}

#[tokio::test]
async fn a_far_too_long_body_gets_its_answer_and_ends_the_connection() {
    within(async {
        let app = limited(16).await;
        let mut raw = Raw::connect(&app).await;
        raw.send("POST /r HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n{").await;
        let reply = raw.reply().await;
        assert_eq!((reply.status(), reply.header("connection")), (413, Some("close")));
        assert!(raw.is_over().await);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_gets_its_413() {
    within(async {
        let app = limited(16).await;
        for (size, connection) in [(1_000_000, None), (10_000_000, Some("close"))] {
            let mut raw = Raw::connect(&app).await;
            raw.send(format!("POST /r HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"))
                .await;
            raw.send_as_far_as_it_goes(&vec![b'x'; size]).await;
            let reply = raw.reply().await;
            assert_eq!((reply.status(), reply.header("connection")), (413, connection), "{size}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_asks_first_need_not_send_a_body_that_is_refused() {
    within(async {
        let app = limited(16).await;
        let mut raw = Raw::connect(&app).await;
        raw.send(
            "POST /r HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 17\r\n\r\n",
        )
        .await;
        assert_eq!(raw.reply().await.status(), 413);
        let mut raw = Raw::connect(&app).await;
        raw.send(
            "POST /r HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n",
        )
        .await;
        assert_eq!(raw.reply().await.status(), 100);
        raw.send(r#"{"from":"t"}"#).await;
        assert_eq!(raw.reply().await.status(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_body_that_does_not_come_in_is_408() {
    within(async {
        let app = create_bootstrap(bootstrap(routes)).config("http.timeout", "50ms").await;
        let app = app.expect("it starts");
        let mut raw = Raw::connect(&app).await;
        raw.send("POST /r HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n{").await;
        let reply = raw.reply().await;
        assert_eq!((reply.status(), reply.header("connection")), (408, Some("close")));
        assert!(raw.is_over().await);
    })
    .await;
}

#[tokio::test]
async fn a_malformed_host_or_framing_is_400_in_the_envelope() {
    within(async {
        let app = serve(routes).await;
        for fields in [
            "",
            "Host: a\r\nHost: a\r\n",
            "Host: a b\r\n",
            "Host: user@a\r\n",
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
        ] {
            let mut raw = Raw::connect(&app).await;
            raw.send(format!("POST /r HTTP/1.1\r\n{fields}\r\n0\r\n\r\n")).await;
            let reply = raw.reply().await;
            assert_eq!(reply.status(), 400, "{fields}");
            assert!(reply.body.contains("MALFORMED_REQUEST"), "{fields}: {reply:?}");
        }
        let mut raw = Raw::connect(&app).await;
        raw.send("GET /hello HTTP/1.0\r\n\r\n").await;
        assert_eq!(raw.reply().await.status(), 200, "HTTP/1.0 knows no Host");
    })
    .await;
}

#[tokio::test]
async fn http2_by_prior_knowledge_gets_the_same_answers() {
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    within(async {
        let app = limited(16).await;
        let stream = tokio::net::TcpStream::connect(address(&app)).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let mut call = async |method: &str, path: &str, body: &'static str| {
            let uri = format!("http://{}{path}", address(&app));
            let request = http::Request::builder().method(method).uri(uri);
            let request = request.body(Full::<bytes::Bytes>::from(body)).expect("a request");
            let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
            (head, body.collect().await.expect("a body").to_bytes())
        };
        let (head, body) = call("GET", "/hello", "").await;
        assert_eq!((head.status.as_u16(), &*body), (200, &b"\"hello\""[..]));
        assert_eq!(head.headers["x-request-id"].len(), 36);
        let (head, body) = call("HEAD", "/hello", "").await;
        assert_eq!((head.headers["content-length"].as_bytes(), body.len()), (&b"7"[..], 0));
        assert_eq!(call("POST", "/r", r#"{"from":"tom456"}"#).await.0.status, 413);
        assert_eq!(call("POST", "/r", r#"{"from":"tom"}"#).await.0.status, 200);
        let (head, body) = call("DELETE", "/hello", "x").await;
        assert_eq!(head.status, 405);
        let problem: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(problem["reason"], "METHOD_NOT_ALLOWED");
        connection.abort();
        assert_eq!(app.http().get("/hello").await.status(), 200);
    })
    .await;
}
