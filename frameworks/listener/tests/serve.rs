//! Serving: two protocols on one port, mounts, and counters that stay right.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::upgrade;
use hyper_util::rt::TokioIo;
use polyport_listener::{
    Handler, Limits, ListenerSettings, Mount, PeerAddr, RequestBody, ResponseBody, SharedListener,
    handler_fn,
};
use support::{
    Gate, Raw, at, eventually, get, hello, http2, serve, start, start_with, text, within,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn http1_keeps_a_connection_alive() {
    let (_shared, server) = serve(hello()).await;
    let mut client = Raw::connect(server.local_addr().unwrap()).await;
    for _ in 0..3 {
        let reply = client.get("/").await;
        assert_eq!((reply.body.as_str(), reply.closes()), ("hello", false));
    }
    assert_eq!((server.connections(), server.active()), (1, 0));
}

#[tokio::test]
async fn http2_is_spoken_by_prior_knowledge_with_calls_side_by_side() {
    let gate = Gate::new();
    let (_shared, server) = serve(gate.handler()).await;
    let (mut client, _connection) = http2(server.local_addr().unwrap()).await;

    let slow = client.send_request(get("/slow"));
    gate.reached().await;
    let fast = within(client.send_request(get("/fast"))).await.unwrap();
    assert_eq!(fast.version(), Version::HTTP_2);
    assert_eq!(fast.into_body().collect().await.unwrap().to_bytes(), "fast");
    eventually("only the slow call is active", || server.active() == 1).await;

    gate.open();
    let slow = within(slow).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(slow.to_bytes(), "done");
    eventually("no call is active", || server.active() == 0).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn requests_carry_the_address_of_the_peer() {
    let echo = handler_fn(async |request: Request<RequestBody>| {
        let PeerAddr(peer) = request.extensions().get().copied().unwrap();
        Response::new(ResponseBody::from(peer.to_string()))
    });
    let (_shared, server) = serve(echo).await;
    let mut client = Raw::connect(server.local_addr().unwrap()).await;
    let own = client.0.get_ref().local_addr().unwrap();
    assert_eq!(client.get("/").await.body, own.to_string());
}

#[tokio::test]
async fn bodies_of_every_kind_arrive_whole() {
    let handler = handler_fn(async |request: Request<RequestBody>| {
        Response::new(match request.uri().path() {
            "/empty" => ResponseBody::empty(),
            "/full" => vec![b'x'; 100_000].into(),
            _ => {
                let frames = [Bytes::from_static(b"one "), Bytes::from_static(b"two")]
                    .map(|bytes| Ok::<_, std::io::Error>(http_body::Frame::data(bytes)));
                ResponseBody::boxed(StreamBody::new(futures_util::stream::iter(frames)))
            }
        })
    });
    let (_shared, server) = serve(handler).await;

    let mut client = Raw::connect(server.local_addr().unwrap()).await;
    assert_eq!(client.get("/empty").await.body, "");
    assert_eq!(client.get("/full").await.body.len(), 100_000);
    client.write("GET /stream HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await;
    assert!(client.head().await.contains("chunked"));
    assert_eq!(client.rest().await, b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n");

    let (mut client, _connection) = http2(server.local_addr().unwrap()).await;
    for (path, length) in [("/empty", 0), ("/full", 100_000), ("/stream", 7)] {
        let reply = within(client.send_request(get(path))).await.unwrap();
        assert_eq!(within(reply.into_body().collect()).await.unwrap().to_bytes().len(), length);
    }
    eventually("no call is active", || server.active() == 0).await;
}

#[tokio::test]
async fn a_mount_takes_what_it_claims_and_leaves_the_rest() {
    let shared = SharedListener::new("http");
    for name in ["first", "second"] {
        let claims = move |request: &Request<RequestBody>| request.headers().contains_key(name);
        let handler = Arc::new(handler_fn(async move |_| text(name)));
        shared.clone().mount(Mount::new(name, claims, handler)).unwrap();
    }
    let server = start(&shared, hello()).await;

    let mut client = Raw::connect(server.local_addr().unwrap()).await;
    for (headers, answer) in
        [("Second: 1\r\n", "second"), ("", "hello"), ("Second: 1\r\nFirst: 1\r\n", "first")]
    {
        client.write(&format!("GET / HTTP/1.1\r\nHost: test\r\n{headers}\r\n")).await;
        assert_eq!(client.reply().await.body, answer);
    }
}

#[tokio::test]
async fn a_panic_costs_its_call_and_nothing_else() {
    let handler = handler_fn(async |request: Request<RequestBody>| {
        assert_ne!(request.uri().path(), "/panic", "a panic on purpose");
        text("hello")
    });
    let (_shared, server) = serve(handler).await;

    let mut first = Raw::connect(server.local_addr().unwrap()).await;
    first.send("/panic").await;
    assert!(first.rest().await.is_empty());
    eventually("the connection is gone", || server.connections() == 0).await;

    let (mut client, _connection) = http2(server.local_addr().unwrap()).await;
    within(client.send_request(get("/panic"))).await.unwrap_err();
    assert_eq!(within(client.send_request(get("/"))).await.unwrap().status(), StatusCode::OK);
    eventually("no call is active", || server.active() == 0).await;

    assert_eq!(Raw::connect(server.local_addr().unwrap()).await.get("/").await.body, "hello");
    within(server.drain()).await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_call() {
    let gate = Gate::new();
    let (_shared, server) = serve(gate.handler()).await;

    let mut one = Raw::connect(server.local_addr().unwrap()).await;
    one.send("/").await;
    gate.reached().await;
    assert_eq!((server.active(), server.connections()), (1, 1));
    drop(one);
    eventually("nothing is left", || server.active() + server.connections() == 0).await;

    let (mut client, _connection) = http2(server.local_addr().unwrap()).await;
    let mut call = Box::pin(client.send_request(get("/")));
    tokio::select! {
        _ = &mut call => panic!("answered"),
        () = gate.reached() => {}
    }
    assert_eq!(server.active(), 1);
    drop(call);
    eventually("the stream was reset", || server.active() == 0).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_client_that_has_called_again_is_noticed_to_leave_when_that_call_is_read() {
    let gate = Gate::new();
    let (_shared, server) = serve(gate.handler()).await;
    let mut client = Raw::connect(at(&server)).await;
    client.send("/").await;
    gate.reached().await;
    client.send("/").await;
    within(client.0.shutdown()).await.unwrap();
    // Another one is answered, so what has come from this one has been looked at.
    assert_eq!(Raw::connect(at(&server)).await.get("/fast").await.body, "fast");
    gate.open();
    assert_eq!(client.reply().await.body, "done");
    gate.reached().await;
    eventually("nothing is left", || server.active() + server.connections() == 0).await;
}

/// Reads the body when it may, and tells what it has read, or that it could not be read.
fn reading(gate: &Gate) -> (impl Handler, Arc<Mutex<Vec<String>>>) {
    let read = Arc::new(Mutex::new(Vec::new()));
    let (gate, told) = (gate.clone(), Arc::clone(&read));
    let handler = handler_fn(move |request: Request<RequestBody>| {
        let (gate, told) = (gate.clone(), Arc::clone(&told));
        async move {
            gate.pass().await;
            let body = request.into_body().collect().await;
            let body = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
            told.lock().unwrap().push(body.unwrap_or_else(|error| error.to_string()));
            gate.pass().await;
            text("done")
        }
    });
    (handler, read)
}

#[tokio::test]
async fn what_a_client_has_sent_before_it_leaves_is_read_and_then_its_call_is_cancelled() {
    let bodies = [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ];
    for body in bodies {
        let gate = Gate::new();
        let (handler, read) = reading(&gate);
        let (_shared, server) = serve(handler).await;
        let mut client = Raw::connect(at(&server)).await;
        client.write(&format!("POST / HTTP/1.1\r\nHost: test\r\n{body}")).await;
        within(client.0.shutdown()).await.unwrap();
        gate.reached().await;
        gate.open();
        gate.reached().await;
        eventually("nothing is left", || server.active() + server.connections() == 0).await;
        assert_eq!(*read.lock().unwrap(), ["hello"], "{body:?}");
    }
}

#[tokio::test]
async fn a_client_is_noticed_to_leave_though_the_body_of_its_call_is_read_in_another_task() {
    let gate = Gate::new();
    let (told, body) = (gate.clone(), Arc::new(Mutex::new(None)));
    let kept = Arc::clone(&body);
    let handler = handler_fn(move |request: Request<RequestBody>| {
        let (gate, kept) = (told.clone(), Arc::clone(&kept));
        async move {
            *kept.lock().unwrap() = Some(request.into_body());
            gate.pass().await;
            text("done")
        }
    });
    let (_shared, server) = serve(handler).await;
    let mut client = Raw::connect(at(&server)).await;
    client.write("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello").await;
    within(client.0.shutdown()).await.unwrap();
    gate.reached().await;
    assert_eq!((server.active(), server.connections()), (1, 1));
    let body = body.lock().unwrap().take().unwrap();
    assert_eq!(within(body.collect()).await.unwrap().to_bytes(), "hello");
    eventually("nothing is left", || server.active() + server.connections() == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_does_not_read_its_answer_ends_its_connection() {
    let endless = handler_fn(async |_| {
        let pieces = futures_util::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(&[0; 65_536])))
        });
        Response::new(ResponseBody::boxed(StreamBody::new(pieces)))
    });
    let (_shared, server) = serve(endless).await;
    let mut client = Raw::connect(at(&server)).await;
    client.send("/").await;
    client.head().await;
    assert_eq!(server.active(), 1);
    within(client.0.shutdown()).await.unwrap();
    eventually("nothing is left", || server.active() + server.connections() == 0).await;
}

#[tokio::test]
async fn an_upgraded_socket_is_no_connection_and_is_told_to_close() {
    let shared = SharedListener::new("test");
    let joined = shared.clone();
    let handler = handler_fn(move |mut request: Request<RequestBody>| {
        let (closing, upgrade) = (joined.closing(), upgrade::on(&mut request));
        joined.spawn(move || echo_until(closing, upgrade));
        let mut response = text("");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(header::CONNECTION, "upgrade".parse().unwrap());
        response.headers_mut().insert(header::UPGRADE, "echo".parse().unwrap());
        std::future::ready(response)
    });
    let server = start(&shared, handler).await;

    let mut client = Raw::connect(server.local_addr().unwrap()).await;
    client
        .write("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.write("x").await;
    assert_eq!(within(client.0.read_u8()).await.unwrap(), b'x');
    eventually("it has left hyper", || server.connections() == 0).await;
    assert_eq!((server.sockets(), server.active()), (1, 0));

    within(server.drain()).await;
    client.write("y").await;
    assert_eq!(within(client.0.read_u8()).await.unwrap(), b'y');

    assert_eq!(within(server.close(support::LONG)).await, 0);
    assert_eq!(client.rest().await, b"bye");
    assert_eq!(server.sockets(), 0);
}

async fn echo_until(closing: tokio_util::sync::CancellationToken, upgrade: upgrade::OnUpgrade) {
    let mut socket = TokioIo::new(upgrade.await.unwrap());
    loop {
        let byte = tokio::select! {
            byte = socket.read_u8() => byte.unwrap(),
            () = closing.cancelled() => break,
        };
        socket.write_u8(byte).await.unwrap();
    }
    socket.write_all(b"bye").await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_cuts_everything_off() {
    let (shared, server) = serve(support::Gate::new().handler()).await;
    let addr = server.local_addr().unwrap();
    let dropped = Arc::new(Mutex::new(()));
    let held = Arc::clone(&dropped);
    shared.spawn(move || async move {
        let _held = held;
        std::future::pending().await
    });
    let mut client = Raw::connect(addr).await;
    client.send("/").await;
    eventually("the call is active", || server.active() == 1).await;

    drop(server);
    assert!(client.rest().await.is_empty());
    eventually("the socket's task is gone", || Arc::strong_count(&dropped) == 1).await;
    assert!(support::is_refused(addr).await);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_ended_and_one_that_has_begun_is_not() {
    let settings = ListenerSettings {
        limits: Limits { header_timeout: Duration::from_millis(100), ..Limits::default() },
        ..ListenerSettings::default()
    };
    let server = start_with(&SharedListener::new("test"), hello(), settings).await;
    let (mut begun, _connection) = http2(server.local_addr().unwrap()).await;
    for words in ["", "P", "PRI * HTTP/2.0\r\n"] {
        let mut client = Raw::connect(server.local_addr().unwrap()).await;
        client.write(words).await;
        assert!(client.rest().await.is_empty(), "after {words:?}");
    }
    let reply = within(begun.send_request(get("/"))).await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(server.connections(), 1);
}
