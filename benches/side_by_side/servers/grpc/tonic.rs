//! tonic, as it comes: the baseline.

use ::polyport::Result;
use ::tonic::transport::{Server, server::TcpIncoming};
use polyport_proto::helloworld::greeter_server::GreeterServer;

use super::Greets;
use crate::servers::listen;

pub(super) async fn serve() -> Result<()> {
    let incoming = TcpIncoming::from(listen().await?).with_nodelay(Some(true));
    let server = Server::builder().add_service(GreeterServer::new(Greets));
    Ok(server.serve_with_incoming(incoming).await?)
}
