//! Without a socket: the same listener, and clients of this process.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use polyport_bootstrap::{
    Fault,
    operation::{Ctx, PeerAddr},
    testing::{TestBootstrap, create_bootstrap},
};
use polyport_http::{
    HttpApp,
    testing::{HttpClient, HttpTest},
};
use support::{bootstrap, hello, tls::Identity, within};

fn ways(test: impl Fn() -> TestBootstrap) -> [TestBootstrap; 2] {
    [test(), test().in_memory()]
}

#[tokio::test]
async fn tls_is_spoken_by_socket_and_by_pipe() {
    within(async {
        let identity = Identity::new();
        let encrypted = || {
            create_bootstrap(bootstrap(|r| r.get("/scheme", scheme)))
                .config("http.tls.certificate_pem", &identity.certificate)
                .config("http.tls.key_pem", &identity.key)
        };
        for bootstrap in ways(encrypted) {
            let app = bootstrap.await.expect("it starts");
            assert!(app.http().get("/scheme").await.expect_status(200).json::<bool>());
            app.close().await.expect("it stops");
        }
    })
    .await;
}

async fn scheme(Ctx(call): Ctx) -> Result<bool, Fault> {
    Ok(call.extension::<polyport_listener::Encrypted>().is_some())
}

/// The port that the client appears to come from.
async fn port(Ctx(context): Ctx) -> Result<u16, Fault> {
    let peer = context.extension::<PeerAddr>().copied();
    let peer = peer.ok_or_else(|| Fault::not_found("NO_PEER", "it has no address"))?;
    match peer.0.ip().is_loopback() {
        true => Ok(peer.0.port()),
        false => Err(Fault::not_found("FAR_AWAY", "it is not of this machine")),
    }
}

#[tokio::test]
async fn clients_are_of_this_machine_and_told_apart() {
    within(async {
        for bootstrap in ways(|| create_bootstrap(bootstrap(|r| r.get("/port", port)))) {
            let app = bootstrap.await.expect("it starts");
            let one: u16 = app.http().get("/port").await.expect_status(200).json();
            let two: u16 = app.http().get("/port").await.expect_status(200).json();
            assert_ne!(one, two);
            app.close().await.expect("it stops");
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_gets_in_before_it_listens() {
    within(async {
        let early = bootstrap(|r| r.get("/hello", hello)).on_ready(async |container| {
            let client = HttpClient::of(&container.app::<HttpApp>()?);
            let error = client.get("/hello").send().await.expect_err("refused");
            assert!(error.to_string().contains("refused"), "{error:?}");
            Ok(())
        });
        let app = create_bootstrap(early).in_memory().await.expect("it starts");
        let client = app.http();
        assert_eq!(client.get("/hello").await.status(), 200);
        app.close().await.expect("it stops");
        assert!(client.get("/hello").send().await.is_err());
    })
    .await;
}
