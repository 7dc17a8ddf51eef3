//! Ports: taken early, opened late, and errors that a person understands.

mod support;

use std::sync::Arc;

use polyport_listener::{
    BindErrorKind, BoundListener, ListenerError, ListenerSettings, Mount, SharedListener,
};
use support::{Raw, hello, is_refused, serve, start, within};

#[tokio::test]
async fn clients_are_refused_until_it_listens_and_served_afterwards() {
    let shared = SharedListener::new("test");
    let bound = shared.bind("127.0.0.1", 0).await.unwrap();
    let addr = bound.local_addr().unwrap();
    assert_eq!(shared.local_addr(), Some(addr));
    assert!(is_refused(addr).await);

    let listening = bound.listen().unwrap();
    let server =
        shared.serve([listening], Arc::new(hello()), &ListenerSettings::default()).unwrap();
    assert_eq!(server.local_addr().unwrap(), addr);
    assert_eq!(Raw::connect(addr).await.get("/").await.body, "hello");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_advice() {
    let (_shared, server) = serve(hello()).await;
    let port = server.local_addr().unwrap().port();

    let error = BoundListener::bind("127.0.0.1", port).await.unwrap_err();
    assert_eq!(error.kind(), BindErrorKind::AddressInUse);
    assert_eq!(error.address(), format!("127.0.0.1:{port}"));
    let shown = error.to_string();
    assert!(shown.starts_with(&format!("cannot bind 127.0.0.1:{port}: ")), "{shown}");
    assert!(shown.contains(&error.os_error().to_string()), "{shown}");
    assert!(error.advice().unwrap().contains("choose another port"));
}

#[tokio::test]
async fn of_two_sockets_bound_to_one_port_the_second_to_listen_fails() {
    let free = BoundListener::bind("127.0.0.1", 0).await.unwrap().local_addr().unwrap().port();
    let first = BoundListener::bind("127.0.0.1", free).await.unwrap();
    let second = BoundListener::bind("127.0.0.1", free).await.unwrap();
    let _listening = first.listen().unwrap();
    let error = second.listen().unwrap_err();
    assert_eq!(error.kind(), BindErrorKind::AddressInUse);
    assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn an_unknown_host_and_a_foreign_address_are_told_apart() {
    let unknown = within(BoundListener::bind("no such host", 80)).await.unwrap_err();
    assert_eq!(unknown.kind(), BindErrorKind::CannotResolve);
    assert!(unknown.to_string().starts_with("cannot resolve no such host:80: "), "{unknown}");
    assert!(unknown.advice().is_some());

    // TEST-NET-1 of RFC 5737 belongs to nobody.
    let foreign = BoundListener::bind("192.0.2.1", 0).await.unwrap_err();
    assert_eq!(foreign.kind(), BindErrorKind::NotOfThisMachine);
}

#[tokio::test]
async fn names_and_bracketed_addresses_are_hosts() {
    let named = BoundListener::bind("localhost", 0).await.unwrap();
    assert!(named.local_addr().unwrap().ip().is_loopback());
    match BoundListener::bind("[::1]", 0).await {
        Ok(bound) => assert!(bound.local_addr().unwrap().is_ipv6()),
        // A machine without IPv6 has no such address, but understands it.
        Err(error) => assert_ne!(error.kind(), BindErrorKind::CannotResolve),
    }
}

#[tokio::test]
async fn what_comes_after_serving_has_begun_is_an_error() {
    let shared = SharedListener::new("http");
    let _server = start(&shared, hello()).await;

    let late = Mount::new("websocket", |_| true, Arc::new(hello()));
    let error = shared.mount(late).unwrap_err();
    let (listener, mount) = ("http".to_owned(), "websocket".to_owned());
    assert_eq!(error, ListenerError::TooLateToMount { listener, mount });

    let again = BoundListener::bind("127.0.0.1", 0).await.unwrap().listen().unwrap();
    let error = shared.serve([again], Arc::new(hello()), &ListenerSettings::default()).unwrap_err();
    assert_eq!(error, ListenerError::ServesAlready { listener: "http".to_owned() });
}
