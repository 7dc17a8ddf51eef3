//! A server to test and clients that speak to it, byte by byte where that matters.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "every test file uses a part of it, and nobody else does"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub mod frames;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use polyport_listener::{
    Handler, Limits, ListenerSettings, RequestBody, ResponseBody, Server, SharedListener,
    handler_fn,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::{Notify, Semaphore},
    time::timeout,
};

/// Longer than anything here may take; a test that reaches it has failed.
pub const LONG: Duration = Duration::from_secs(10);

pub async fn within<F: Future>(future: F) -> F::Output {
    timeout(LONG, future).await.expect("hangs")
}

/// Waits until what can only be looked at is so.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let looked = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, looked).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub fn text(text: &'static str) -> Response<ResponseBody> {
    Response::new(ResponseBody::from(text))
}

pub fn hello() -> impl Handler {
    handler_fn(async |_| text("hello"))
}

pub async fn serve(handler: impl Handler) -> (SharedListener, Server) {
    let shared = SharedListener::new("test");
    let server = start(&shared, handler).await;
    (shared, server)
}

pub async fn start(shared: &SharedListener, handler: impl Handler) -> Server {
    start_with(shared, handler, ListenerSettings::default()).await
}

/// Waits longer for connections to end by themselves than any test may take.
pub fn patient() -> ListenerSettings {
    ListenerSettings { flush_grace: LONG * 2, ..ListenerSettings::default() }
}

pub fn limited(limits: Limits) -> ListenerSettings {
    ListenerSettings { limits, ..ListenerSettings::default() }
}

pub async fn serve_with(
    handler: impl Handler,
    settings: ListenerSettings,
) -> (SharedListener, Server) {
    let shared = SharedListener::new("test");
    let server = start_with(&shared, handler, settings).await;
    (shared, server)
}

/// Whether something goes on for longer than anything takes that is not waited for.
pub async fn is_pending(future: impl Future) -> bool {
    timeout(Duration::from_millis(300), future).await.is_err()
}

/// The address of a server that has a port.
pub fn at(server: &Server) -> SocketAddr {
    server.local_addr().expect("it has a port")
}

pub async fn start_with(
    shared: &SharedListener,
    handler: impl Handler,
    settings: ListenerSettings,
) -> Server {
    let bound = shared.bind("127.0.0.1", 0).await.unwrap();
    let listening = bound.listen().unwrap();
    shared.serve([listening], Arc::new(handler), &settings).unwrap()
}

/// A handler that says that it has begun and then waits to be let go on.
#[derive(Clone)]
pub struct Gate(Arc<(Semaphore, Notify)>);

impl Gate {
    pub fn new() -> Self {
        Self(Arc::new((Semaphore::new(0), Notify::new())))
    }

    /// By the handler.
    pub async fn pass(&self) {
        self.0.0.add_permits(1);
        self.0.1.notified().await;
    }

    pub async fn reached(&self) {
        within(self.0.0.acquire()).await.unwrap().forget();
    }

    pub fn open(&self) {
        self.0.1.notify_one();
    }

    /// Answers "done", and "fast" at once at /fast.
    pub fn handler(&self) -> impl Handler {
        let gate = self.clone();
        handler_fn(move |request: Request<RequestBody>| {
            let gate = gate.clone();
            async move {
                if request.uri().path() == "/fast" {
                    return text("fast");
                }
                gate.pass().await;
                text("done")
            }
        })
    }
}

/// HTTP/1.1 on a bare socket.
pub struct Raw(pub BufReader<TcpStream>);

pub struct Reply {
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn closes(&self) -> bool {
        self.head.to_lowercase().contains("\r\nconnection: close\r\n")
    }
}

impl Raw {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self(BufReader::new(within(TcpStream::connect(addr)).await.unwrap()))
    }

    pub async fn write(&mut self, bytes: &str) {
        within(self.0.write_all(bytes.as_bytes())).await.unwrap();
    }

    pub async fn send(&mut self, path: &str) {
        self.write(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.send(path).await;
        self.reply().await
    }

    pub async fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(within(self.0.read_line(&mut head)).await.unwrap(), 0, "ended: {head:?}");
        }
        head
    }

    /// A reply with a Content-Length.
    pub async fn reply(&mut self) -> Reply {
        let head = self.head().await;
        let lower = head.to_lowercase();
        let length = lower.split("content-length: ").nth(1).expect("no length");
        let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
        within(self.0.read_exact(&mut body)).await.unwrap();
        Reply { head, body: String::from_utf8(body).unwrap() }
    }

    /// What still comes until the server closes the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        within(self.0.read_to_end(&mut rest)).await.unwrap();
        rest
    }

    /// Resolves when the server has closed or reset the connection without a word.
    pub async fn is_cut(&mut self) {
        let read = within(self.0.read(&mut [0; 1])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "it says something");
    }
}

pub async fn is_refused(addr: SocketAddr) -> bool {
    let error = within(TcpStream::connect(addr)).await.err();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

pub type Http2 = http2::SendRequest<Full<Bytes>>;

/// An HTTP/2 client by prior knowledge; the task ends with the connection.
pub async fn http2(addr: SocketAddr) -> (Http2, tokio::task::JoinHandle<()>) {
    let io = TokioIo::new(within(TcpStream::connect(addr)).await.unwrap());
    let (send, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    (send, tokio::spawn(async move { drop(connection.await) }))
}

pub fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://test{path}")).body(Full::default()).unwrap()
}
