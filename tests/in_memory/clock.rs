//! A paused clock (`tokio::time::pause`): in memory nothing waits, and all that takes time happens.

use std::time::{Duration, Instant as RealInstant};

use polyport::{prelude::*, testing::*};
use polyport_proto::helloworld::greeter_client::GreeterClient;
use tokio::time::Instant;

use crate::{
    Way,
    app::{Gate, app, configured},
    grpc::named,
};

/// What takes minutes takes no time.
pub(crate) async fn at_once(test: impl Future<Output = ()>) {
    let begun = RealInstant::now();
    test.await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(60), "it has waited: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_start_and_stop_take_no_virtual_time() {
    at_once(async {
        let begun = Instant::now();
        let app = app(Way::Memory).await.expect("it starts");
        assert_eq!(app.http().get("/me").await.status(), 401);
        let mut client = app.websocket("").await;
        assert!(client.request::<serde_json::Value>("nothing", &()).await.is_err());
        assert_eq!(client.close().await, 1000);
        let mut greeter = app.grpc(GreeterClient::new);
        assert!(greeter.say_hello(named("tom")).await.is_ok());
        drop(greeter);
        app.close().await.expect("it stops");
        assert!(begun.elapsed() < Duration::from_secs(1), "took {:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn timeouts_come_when_they_should() {
    at_once(async {
        let app = app(Way::Memory)
            .config("http.timeout", "90s")
            .config("websocket.timeout", "120s")
            .await
            .expect("it starts");
        let begun = Instant::now();
        assert_eq!(app.http().get("/never").await.status(), 504);
        assert_eq!(begun.elapsed().as_secs(), 90);
        let mut client = app.websocket("").await;
        let begun = Instant::now();
        let fault = client.request::<()>("never", &()).await.expect_err("a fault");
        assert_eq!((fault.kind(), begun.elapsed().as_secs()), (FaultKind::DeadlineExceeded, 120));
        app.close().await.expect("it stops");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_connection_for_hours() {
    at_once(async {
        let app = app(Way::Memory).await.expect("it starts");
        let mut client = app.websocket("").await;
        let mut greeter = app.grpc(GreeterClient::new);
        assert!(greeter.say_hello(named("tom")).await.is_ok());
        tokio::time::sleep(Duration::from_secs(2 * 60 * 60)).await;
        assert!(client.request::<serde_json::Value>("nothing", &()).await.is_err());
        assert!(greeter.say_hello(named("tom")).await.is_ok());
        client.close().await;
        app.close().await.expect("it stops");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_cut_at_its_deadline() {
    at_once(async {
        let gate = Gate::new();
        let bootstrap = configured(&gate).in_memory().config("http.timeout", "0s");
        let app = bootstrap.config("shutdown.drain", "20s").await.expect("it starts");
        let call = tokio::spawn(app.http().get("/hold").send());
        gate.begun.acquire().await.expect("is open").forget();
        let begun = Instant::now();
        let error = app.close().await.expect_err("the call was cut");
        assert!(format!("{error:?}").contains("1 call was cut"), "{error:?}");
        assert!((20..30).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        assert!(call.await.expect("no panic").is_err());
    })
    .await;
}
