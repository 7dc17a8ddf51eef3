//! axum, tokio-tungstenite, tonic and lapin, each as its own page shows it.

use ::polyport::Result;
use ::tonic::transport::{Server, server::TcpIncoming};
use futures_util::StreamExt;
use lapin::{Connection, ConnectionProperties, options::BasicAckOptions};
use polyport_proto::helloworld::greeter_server::GreeterServer;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::servers::{amqp, grpc, http, listen, websocket};

/// Another one than polyport's, which has a queue for dead letters.
const QUEUE: &str = "side-by-side.start-by-hand";

/// With a broker's URL there is a consumer, too.
pub(super) async fn serve(broker: Option<String>) -> Result<()> {
    let sockets = TcpListener::bind("127.0.0.1:0").await?;
    let calls = TcpListener::bind("127.0.0.1:0").await?;
    tokio::spawn(websocket::accept(sockets, WebSocketConfig::default()));
    tokio::spawn(
        Server::builder()
            .add_service(GreeterServer::new(grpc::Greets))
            .serve_with_incoming(TcpIncoming::from(calls)),
    );
    if let Some(url) = broker {
        let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
        let mut consumer = amqp::consumer(&connection, QUEUE).await?;
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = consumer.next().await {
                drop(delivery.ack(BasicAckOptions::default()).await);
            }
            drop(connection);
        });
    }
    Ok(axum::serve(listen().await?, http::router()).await?)
}
