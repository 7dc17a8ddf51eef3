//! By hand on tokio-tungstenite, as it comes: the baseline.

use ::polyport::Result;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use crate::servers::listen;

pub(super) fn as_it_comes() -> WebSocketConfig {
    WebSocketConfig::default()
}

/// The buffers that polyport has.
pub(super) fn small() -> WebSocketConfig {
    as_it_comes().read_buffer_size(1024).write_buffer_size(0)
}

pub(super) async fn serve(config: WebSocketConfig) -> Result<()> {
    accept(listen().await?, config).await
}

/// Converses with whoever comes.
pub(in crate::servers) async fn accept(
    listener: TcpListener,
    config: WebSocketConfig,
) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(converse(stream, config));
    }
}

async fn converse(stream: TcpStream, config: WebSocketConfig) -> Result<()> {
    let mut socket = accept_async_with_config(stream, Some(config)).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        socket.send(Message::text(super::talk::answer(&text)?)).await?;
    }
    Ok(())
}
