//! The servers that are compared: each echoes the data of an event.

use std::{io::Write, net::SocketAddr};

use futures_util::{SinkExt, StreamExt};
use polyport_bootstrap::{Application, Bootstrap, Error, Fault, Result, module, operation::Body};
use polyport_http::{HttpApp, HttpFramework, HttpSettings};
use polyport_websocket::{WebSocketFramework, WebSocketModule};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// The first word of a process that is to serve.
pub(crate) const WORD: &str = "--serve";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// By hand, with the small buffers that polyport has too.
    ByHand,
    Polyport,
    /// By hand, as tungstenite is by default.
    ByDefault,
}

impl Server {
    pub(crate) const ALL: [Self; 3] = [Self::ByHand, Self::Polyport, Self::ByDefault];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ByHand => "tokio-tungstenite: by hand, small buffers",
            Self::Polyport => "polyport",
            Self::ByDefault => "tokio-tungstenite: by hand, as it comes",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ByHand => "by-hand",
            Self::Polyport => "polyport",
            Self::ByDefault => "by-default",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        "/ws"
    }
}

/// Serves until the process is killed, and says first where.
pub(crate) fn serve(word: &str) -> Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let small = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
    match Server::ALL.into_iter().find(|server| server.word() == word) {
        Some(Server::Polyport) => runtime.block_on(polyport()),
        Some(Server::ByHand) => runtime.block_on(by_hand(small)),
        Some(Server::ByDefault) => runtime.block_on(by_hand(WebSocketConfig::default())),
        None => Err(Error::other(format!("there is no server {word:?}"))),
    }
}

fn say(address: SocketAddr) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{address}")?;
    Ok(out.flush()?)
}

async fn by_hand(config: WebSocketConfig) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(converse(stream, config));
    }
}

async fn converse(stream: TcpStream, config: WebSocketConfig) -> Result<()> {
    let mut socket = accept_async_with_config(stream, Some(config)).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let event: serde_json::Value = serde_json::from_str(&text)?;
        let answer =
            serde_json::json!({ "event": "echo", "id": event["id"], "data": event["data"] });
        socket.send(Message::text(answer.to_string())).await?;
    }
    Ok(())
}

async fn echo(Body(data): Body) -> Result<String, Fault> {
    Ok(String::from_utf8_lossy(&data).into_owned())
}

async fn polyport() -> Result<()> {
    let http = HttpSettings { port: 0, ..HttpSettings::default() };
    let process = Bootstrap::new()
        .load(HttpFramework::new().configure(http))
        .load(WebSocketFramework::new())
        .module(module("echo", |m| {
            m.websocket(|g| g.on("echo", echo));
            Ok(())
        }))
        .start()
        .await?;
    let address = process.app::<HttpApp>()?.local_addr();
    say(address.ok_or_else(|| Error::other("it is not bound"))?)?;
    process.wait().await?;
    Ok(())
}
