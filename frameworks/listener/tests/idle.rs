//! What a connection keeps between its calls, and that nothing is lost with what it lets go of.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use http::{Request, Response};
use polyport_listener::{Limits, RequestBody, ResponseBody, handler_fn};
use support::{Raw, at, eventually, hello, serve, text, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};

const CLIENTS: usize = 50;
/// With hyper's buffers it would be more than 16 KiB.
const MOST_BYTES: i64 = 4 * 1024;

/// Makes so many calls, one after the other.
fn call(address: SocketAddr, calls: usize) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    for _ in 0..calls {
        client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
    }
    client
}

/// What each of many clients costs that have made so many calls, before and after `later`.
///
/// Allocations are counted by thread: all of the server is on this one, and its clients are not.
fn bytes_each(calls: usize, later: impl AsyncFn()) -> (i64, i64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_shared, server) = runtime.block_on(serve(hello()));
    let address = at(&server);
    let (done, all_done) = oneshot::channel();
    let clients = thread::spawn(move || {
        let clients: Vec<_> = (0..CLIENTS).map(|_| call(address, calls)).collect();
        done.send(()).unwrap();
        clients
    });
    let first = allocation_counter::measure(|| {
        runtime.block_on(async {
            within(all_done).await.unwrap();
            eventually("all are idle", || server.active() == 0).await;
        });
    });
    let second = allocation_counter::measure(|| runtime.block_on(later()));
    assert_eq!(server.connections(), CLIENTS);
    drop(clients.join());
    let each = |bytes| bytes / CLIENTS as i64;
    (each(first.bytes_current), each(first.bytes_current + second.bytes_current))
}

#[test]
fn an_idle_connection_has_no_buffers() {
    let (bytes, _) = bytes_each(1, async || {});
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}

#[test]
fn a_client_that_calls_again_soon_has_its_buffers_until_it_is_still() {
    let (at_first, at_last) = bytes_each(2, async || {
        tokio::time::pause();
        // The connection's clock is set for the first head at first.
        tokio::time::advance(Limits::default().header_timeout).await;
        for _ in 0..CLIENTS {
            tokio::task::yield_now().await;
        }
    });
    assert!(at_first > MOST_BYTES, "{at_first} bytes");
    assert!(at_last <= MOST_BYTES, "{at_last} bytes");
}

#[tokio::test]
async fn what_was_read_of_the_next_call_is_not_lost() {
    let (_shared, server) = serve(hello()).await;
    let mut client = Raw::connect(at(&server)).await;
    let (head, rest) = ("GET / HTTP/1.1\r\nHost: test\r\n", "\r\n");
    for next in ["G", "GET /", head] {
        client.write(&format!("{head}{rest}{next}")).await;
        assert_eq!(client.reply().await.body, "hello");
        let whole = format!("{head}{rest}");
        client.write(whole.strip_prefix(next).unwrap()).await;
        assert_eq!(client.reply().await.body, "hello", "{next}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn empty_lines_between_two_calls_mean_nothing() {
    let (_shared, server) = serve(hello()).await;
    let mut client = Raw::connect(at(&server)).await;
    for _ in 0..3 {
        client.write("GET / HTTP/1.1\r\nHost: test\r\n\r\n\r\n").await;
        assert_eq!(client.reply().await.body, "hello");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn many_calls_at_once_are_answered_in_their_order() {
    let path = handler_fn(async |request: Request<RequestBody>| {
        Response::new(ResponseBody::from(request.uri().path().to_owned()))
    });
    let (_shared, server) = serve(path).await;
    let mut client = Raw::connect(at(&server)).await;
    let calls = |from: usize| (from..from + 40).map(|call| format!("/{call}"));
    for from in [0, 40] {
        let requests = calls(from).map(|path| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.write(&requests.collect::<String>()).await;
        for path in calls(from) {
            assert_eq!(client.reply().await.body, path);
        }
    }
}

#[tokio::test]
async fn a_body_that_comes_behind_its_answer_is_never_taken_for_a_call() {
    let (paths, body) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
    let (seen, kept) = (Arc::clone(&paths), Arc::clone(&body));
    let late = handler_fn(move |request: Request<RequestBody>| {
        let (head, body) = request.into_parts();
        seen.lock().unwrap().push(head.uri.path().to_owned());
        kept.lock().unwrap().get_or_insert(body);
        async { text("hello") }
    });
    let (_shared, server) = serve(late).await;
    let mut client = Raw::connect(at(&server)).await;
    let inner = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";
    let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", inner.len());
    client.write(&head).await;
    assert_eq!(client.reply().await.body, "hello");
    client.write(inner).await;
    drop(body.lock().unwrap().take());
    // It may be cut at any moment, or answer once more.
    let last = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let _ = client.0.write_all(last).await;
    let _ = within(client.0.read_to_end(&mut Vec::new())).await;
    assert!(!paths.lock().unwrap().contains(&"/smuggled".to_owned()));
}

#[tokio::test]
async fn a_connection_of_http1_is_never_taken_for_one_of_http2() {
    let (_shared, server) = serve(hello()).await;
    let mut client = Raw::connect(at(&server)).await;
    assert_eq!(client.get("/").await.body, "hello");
    client.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let refused = String::from_utf8(client.rest().await).unwrap();
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 4"), "{refused:?}");
}
