//! Shared and own listeners, of several names.

use polyport::{
    prelude::*,
    testing::{GrpcTest, HttpTest, WebSocketTest},
};
use polyport_proto::helloworld::greeter_client::GreeterClient;

use crate::{
    app::{Gate, Post, app, configured, post},
    both_ways,
    grpc::named,
    within,
};

both_ways! {
    every_framework_has_its_own_way_in(way) {
        let app = app(way).await.expect("it starts");
        assert_eq!(app.http_on("admin").get("/admin").await.json::<String>(), "admin");
        assert_eq!(app.http().get("/admin").await.status(), 404);
        assert_eq!(app.http_on("admin").get("/me").await.status(), 404);
        // HTTP's listener has the WebSocket framework of no name, the port of the other has not.
        assert_eq!(app.http().get("/ws").await.status(), 426);
        assert_eq!(app.http_on("admin").get("/ws").await.status(), 404);
        let mut joined = app.grpc_on("joined", GreeterClient::new);
        assert!(joined.say_hello(named("tom")).await.is_ok());
        let mut client = app.websocket("").await;
        assert!(client.request::<Post>("echo", &post("tom", &[])).await.is_ok());
        client.close().await;
        app.close().await.expect("it stops");
    }

    the_handle_tells_where_it_is_bound(way) {
        let app = app(way).await.expect("it starts");
        let is_bound = way == Way::Sockets;
        let bound = app.addresses();
        assert_eq!(bound.iter().any(|bound| bound.url.is_some()), is_bound, "{bound:?}");
        let http = app.app::<HttpApp>().expect("is loaded");
        assert_eq!((http.local_addr().is_some(), http.url().is_some()), (is_bound, is_bound));
        assert_eq!(app.app::<WebSocketApp>().expect("is loaded").url().is_some(), is_bound);
        assert_eq!(app.app::<GrpcApp>().expect("is loaded").local_addr().is_some(), is_bound);
        app.close().await.expect("it stops");
    }
}

#[tokio::test]
async fn in_memory_no_configured_port_is_taken() {
    within(async {
        let same_ports = || configured(&Gate::new()).configured_ports().in_memory();
        let (one, two) = (same_ports().await.expect("starts"), same_ports().await.expect("too"));
        assert_eq!(one.http_on("admin").get("/admin").await.status(), 200);
        assert_eq!(two.http_on("admin").get("/admin").await.status(), 200);
        one.close().await.expect("it stops");
        two.close().await.expect("it stops");
    })
    .await;
}
