//! What is known of clients behind proxies, and what becomes of calls whose clients have left.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Request, Response};
use polyport_listener::{
    ClientLeave, Forwarded, Handler, Http2Limits, Limits, ListenerSettings, PeerAddr, RequestBody,
    ResponseBody, handler_fn,
};
use support::{
    Gate, LONG, Raw, at, eventually,
    frames::{RST_STREAM, RawHttp2, frame, get_frame},
    is_pending, serve_with, text, within,
};
use tokio::io::AsyncWriteExt;

/// Says what is believed of the client, and which headers are left.
fn who() -> impl Handler {
    handler_fn(async |request: Request<RequestBody>| {
        let peer = request.extensions().get::<PeerAddr>().unwrap().0.ip();
        let origin = request.extensions().get::<Forwarded>();
        let scheme = origin.and_then(Forwarded::scheme).map_or("-", |scheme| scheme.as_str());
        let host = origin.and_then(Forwarded::host).map_or("-", |host| host.as_str());
        let kept = request.headers().contains_key("x-forwarded-for");
        Response::new(ResponseBody::from(format!("{peer} {scheme} {host} {kept}")))
    })
}

async fn asked_by(proxies: &[&str]) -> String {
    let trusted_proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    let settings = ListenerSettings { trusted_proxies, ..ListenerSettings::default() };
    let (_shared, server) = serve_with(who(), settings).await;
    let mut client = Raw::connect(at(&server)).await;
    let headers = "X-Forwarded-For: 198.51.100.1, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\
                   X-Forwarded-Host: shop.example\r\n";
    client.write(&format!("GET / HTTP/1.1\r\nHost: inner\r\n{headers}\r\n")).await;
    client.reply().await.body
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed() {
    let both = ["127.0.0.0/8", "10.0.0.0/8"];
    assert_eq!(asked_by(&both).await, "198.51.100.1 https shop.example true");
    assert_eq!(asked_by(&["127.0.0.1"]).await, "10.0.0.1 https shop.example true");
    assert_eq!(asked_by(&["192.0.2.0/24"]).await, "127.0.0.1 - - false");
    assert_eq!(asked_by(&[]).await, "127.0.0.1 - - true");
}

#[tokio::test]
async fn trusted_proxies_may_have_as_many_connections_as_they_want() {
    let limits = Limits { connections_per_peer: 1, ..Limits::default() };
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let settings = ListenerSettings { limits, trusted_proxies, ..ListenerSettings::default() };
    let (_shared, server) = serve_with(support::hello(), settings).await;
    let mut first = Raw::connect(at(&server)).await;
    first.get("/").await;
    assert_eq!(Raw::connect(at(&server)).await.get("/").await.body, "hello");
}

/// Counts the calls that come to their end.
fn counting(gate: &Gate) -> (impl Handler + use<>, Arc<AtomicUsize>) {
    let (gate, done) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&done);
    let handler = handler_fn(move |_| {
        let (gate, counted) = (gate.clone(), Arc::clone(&counted));
        async move {
            gate.pass().await;
            counted.fetch_add(1, SeqCst);
            text("done")
        }
    });
    (handler, done)
}

fn finishing() -> ListenerSettings {
    ListenerSettings { on_client_leave: ClientLeave::Finish, ..ListenerSettings::default() }
}

#[tokio::test]
async fn a_call_whose_client_leaves_goes_on_where_that_is_wanted_and_the_stop_waits_for_it() {
    let gate = Gate::new();
    let (handler, done) = counting(&gate);
    let (_shared, server) = serve_with(handler, finishing()).await;
    let mut client = Raw::connect(at(&server)).await;
    client.send("/").await;
    gate.reached().await;
    drop(client);
    eventually("the connection is gone", || server.connections() == 0).await;
    assert_eq!(server.active(), 1);
    assert!(is_pending(server.drain()).await);

    gate.open();
    within(server.drain()).await;
    assert_eq!((done.load(SeqCst), server.active()), (1, 0));
    assert_eq!(within(server.close(LONG)).await, 0);
}

#[tokio::test]
async fn pipelined_calls_of_a_client_that_leaves_all_go_on_where_that_is_wanted() {
    let gate = Gate::new();
    let (handler, done) = counting(&gate);
    let (_shared, server) = serve_with(handler, finishing()).await;
    let mut client = Raw::connect(at(&server)).await;
    client.write(&"GET / HTTP/1.1\r\nHost: test\r\n\r\n".repeat(3)).await;
    within(client.0.shutdown()).await.unwrap();
    for calls in 1..=3 {
        gate.reached().await;
        gate.open();
        eventually("the call is done", || done.load(SeqCst) == calls).await;
    }
    eventually("nothing is left", || server.active() + server.connections() == 0).await;
}

#[tokio::test]
async fn a_call_whose_client_has_left_is_cut_at_the_close() {
    let gate = Gate::new();
    let (handler, done) = counting(&gate);
    let (_shared, server) = serve_with(handler, finishing()).await;
    let mut client = Raw::connect(at(&server)).await;
    client.send("/").await;
    gate.reached().await;
    drop(client);
    eventually("the connection is gone", || server.connections() == 0).await;
    assert_eq!(within(server.close(Duration::from_millis(100))).await, 1);
    assert_eq!(done.load(SeqCst), 0);
}

#[tokio::test]
async fn resets_leave_no_more_calls_behind_than_there_may_be_streams() {
    let gate = Gate::new();
    let (handler, _done) = counting(&gate);
    let limits =
        Limits { http2: Http2Limits { streams: 3, ..Http2Limits::default() }, ..Limits::default() };
    let (_shared, server) = serve_with(handler, ListenerSettings { limits, ..finishing() }).await;
    let mut client = RawHttp2::connect(at(&server), &[]).await;
    for index in 0..10u32 {
        let stream = 2 * index + 1;
        client.write(&get_frame(stream)).await;
        gate.reached().await;
        client.write(&frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())).await;
    }
    eventually("only three are left", || server.active() == 3).await;
}
