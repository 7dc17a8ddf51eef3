//! What each framework has open is known as long as it is, so that it would be named if it were left.

use polyport::{prelude::*, testing::*};
use polyport_proto::helloworld::{HelloRequest, greeter_client::GreeterClient};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::whole::bootstrap;

fn connections(app: &TestApp) -> Vec<String> {
    app.open(Leftover::Connection)
}

#[polyport::test(bootstrap)]
async fn each_listener_is_known_by_its_address(app: TestApp) -> Result<()> {
    let listeners = app.open(Leftover::Listener);
    let [http, grpc] = [app.app::<HttpApp>()?.local_addr(), app.app::<GrpcApp>()?.local_addr()];
    for address in [http, grpc].map(|address| address.expect("listens").to_string()) {
        assert!(listeners.contains(&address), "{address}: {listeners:?}");
    }
    app.close().await
}

#[polyport::test(bootstrap)]
async fn a_connection_of_http_is_known_by_its_peer(app: TestApp) -> Result<()> {
    let address = app.app::<HttpApp>()?.local_addr().expect("listens");
    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    client.read_u8().await?;
    let peer = client.local_addr()?.to_string();
    assert!(connections(&app).contains(&peer), "{peer}: {:?}", connections(&app));
    app.close().await
}

#[polyport::test(bootstrap)]
async fn a_socket_is_known_beside_the_connection_that_it_was_made_of(app: TestApp) -> Result<()> {
    let before = connections(&app);
    let mut socket = app.websocket("/ws").await;
    socket.call("hello", &json!({ "name": "Tom" })).await;
    assert!(connections(&app).len() > before.len(), "{before:?}: {:?}", connections(&app));
    app.close().await
}

#[polyport::test(bootstrap)]
async fn a_channel_of_grpc_is_known_by_its_peer(app: TestApp) -> Result<()> {
    let before = connections(&app);
    let mut client = app.grpc(GreeterClient::new);
    client.say_hello(HelloRequest { name: "Tom".into() }).await.expect("is answered");
    assert!(connections(&app).len() > before.len(), "{before:?}: {:?}", connections(&app));
    app.close().await
}

#[polyport::test(bootstrap)]
async fn the_connections_to_the_broker_are_known_by_their_purpose(app: TestApp) -> Result<()> {
    let open = connections(&app);
    let to_broker = open.iter().filter(|what| what.starts_with("to the broker "));
    assert_eq!(to_broker.count(), 2, "one consumes, and one publishes: {open:?}");
    app.close().await
}
