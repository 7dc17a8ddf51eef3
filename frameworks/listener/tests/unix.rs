//! Unix sockets, and several sockets of one listener.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener as StdListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{Request, Response};
use polyport_bootstrap::{Inherited, SocketAddress, framework::Endpoint};
use polyport_listener::{
    BindErrorKind, BoundListener, Handler, ListenerSettings, PeerAddr, RequestBody, ResponseBody,
    Server, SharedListener, SocketMode, handler_fn,
};
use support::{LONG, Raw, at, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// A path that nobody else has, free again in the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place =
            Self(std::env::temp_dir().join(format!("pp-{name}-{}.sock", std::process::id())));
        let _ = fs::remove_file(&place.0);
        place
    }

    async fn bind(&self) -> Result<BoundListener, polyport_listener::BindError> {
        BoundListener::bind_to(&Endpoint::Unix(self.0.clone()), SocketMode::default()).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Says where a request came from.
fn peer() -> impl Handler {
    handler_fn(async |request: Request<RequestBody>| {
        let peer = request.extensions().get::<PeerAddr>().map(|peer| peer.0.to_string());
        Response::new(ResponseBody::from(peer.unwrap_or_else(|| "nobody".to_owned())))
    })
}

async fn ask(path: &Path) -> String {
    let mut stream = within(UnixStream::connect(path)).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    within(stream.write_all(request)).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned()
}

fn serve(bound: impl IntoIterator<Item = BoundListener>) -> Server {
    let listening: Vec<_> = bound.into_iter().map(|bound| bound.listen().unwrap()).collect();
    let shared = SharedListener::new("test");
    shared.serve(listening, Arc::new(peer()), &ListenerSettings::default()).unwrap()
}

#[tokio::test]
async fn one_listener_serves_several_sockets_and_stops_them_all() {
    let place = Place::new("several");
    let ports = [0, 0].map(|port| BoundListener::bind("127.0.0.1", port));
    let [first, second] = ports;
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    let addrs = [first.local_addr().unwrap(), second.local_addr().unwrap()];
    let server = serve([place.bind().await.unwrap(), first, second]);
    assert_eq!(at(&server), addrs[0]);
    assert_eq!(server.addresses().len(), 3);
    for addr in addrs {
        assert!(Raw::connect(addr).await.get("/").await.body.starts_with("127.0.0.1:"));
    }
    assert_eq!(ask(&place.0).await, "nobody");

    within(server.drain()).await;
    assert!(!place.0.exists(), "the file is removed with the socket");
    for addr in addrs {
        assert!(support::is_refused(addr).await);
    }
    assert_eq!(within(server.close(LONG)).await, 0);
}

#[tokio::test]
async fn nobody_connects_before_it_listens_and_only_those_who_may() {
    let place = Place::new("mode");
    let bound = place.bind().await.unwrap();
    assert_eq!(fs::metadata(&place.0).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(within(UnixStream::connect(&place.0)).await.is_err());
    let _server = serve([bound]);
    assert_eq!(ask(&place.0).await, "nobody");
}

#[tokio::test]
async fn what_a_dead_process_left_is_removed_and_what_lives_is_not() {
    let place = Place::new("stale");
    drop(StdListener::bind(&place.0).unwrap());
    assert!(place.0.exists(), "the system leaves it");
    let server = serve([place.bind().await.unwrap()]);

    let error = place.bind().await.unwrap_err();
    assert_eq!(error.kind(), BindErrorKind::AddressInUse);
    assert!(error.to_string().contains(&format!("unix:{}", place.0.display())), "{error}");
    assert!(error.advice().unwrap().contains("another path"), "{error}");
    assert_eq!(ask(&place.0).await, "nobody");
    drop(server);
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let place = Place::new("file");
    fs::write(&place.0, "precious").unwrap();
    let error = place.bind().await.unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(fs::read_to_string(&place.0).unwrap(), "precious");
}

#[tokio::test]
async fn the_socket_of_a_successor_is_left_alone() {
    let place = Place::new("successor");
    let first = place.bind().await.unwrap();
    fs::remove_file(&place.0).unwrap();
    let second = serve([place.bind().await.unwrap()]);
    drop(first);
    assert_eq!(ask(&place.0).await, "nobody");
    drop(second);
}

#[tokio::test]
async fn a_socket_that_was_handed_over_is_served_and_stays() {
    let place = Place::new("handed");
    let inherited = Inherited::Unix(StdListener::bind(&place.0).unwrap());
    let bound = BoundListener::take_over(inherited).unwrap();
    assert_eq!(bound.address(), &SocketAddress::Unix(place.0.clone()));
    let server = serve([bound]);
    assert_eq!(ask(&place.0).await, "nobody");
    within(server.drain()).await;
    assert_eq!(within(server.close(LONG)).await, 0);
    assert!(place.0.exists());
}
