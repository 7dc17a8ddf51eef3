//! By hand on axum.

use ::axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::any,
};
use ::polyport::Result;

use crate::servers::listen;

pub(super) async fn serve() -> Result<()> {
    let router = Router::new().route("/ws", any(upgrade));
    Ok(::axum::serve(listen().await?, router).await?)
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |socket| drop(converse(socket).await))
}

async fn converse(mut socket: WebSocket) -> Result<()> {
    while let Some(message) = socket.recv().await {
        let Message::Text(text) = message? else { continue };
        socket.send(Message::text(super::talk::answer(&text)?)).await?;
    }
    Ok(())
}
