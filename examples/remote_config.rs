//! Configuration from another server: `cargo run --example remote_config`.
//!
//! The config center is a small HTTP server that this program starts itself, on a free port. What
//! it answers stands above the files and below environment variables, and is kept in `run/` for a
//! start at which the center is down:
//!
//! ```console
//! $ cargo run --example remote_config -- --explain http.port
//! http.port = 7011
//!   from remote: config center (before-hook)
//!   not 7001 from config/config.default.toml:4 (default file)
//! $ POLYPORT__HTTP__PORT=7012 cargo run --example remote_config -- --explain http.port
//! $ POLYPORT__CENTER__DOWN=true cargo run --example remote_config
//! ```
//!
//! `curl 'http://127.0.0.1:7011/greeting?name=world'` shows what holds; after `kill -HUP` with the
//! process's id it is another revision.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use polyport::{RemoteConfig, Settings, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// The section `greeting`, which the config center sets.
#[derive(Debug, Deserialize, garde::Validate, Settings)]
#[serde(default)]
#[settings("greeting")]
struct Greeting {
    #[garde(length(min = 1))]
    word: String,
    #[garde(skip)]
    revision: u32,
}

impl Default for Greeting {
    fn default() -> Self {
        Self { word: "Hello".to_owned(), revision: 0 }
    }
}

#[derive(Deserialize, garde::Validate)]
struct Greet {
    #[garde(skip)]
    name: String,
}

#[derive(Serialize)]
struct Greeted {
    message: String,
    revision: u32,
}

async fn greet(greeting: Settings<Greeting>, Input(to): Input<Greet>) -> Result<Greeted, Fault> {
    let greeting = greeting.get();
    let message = format!("{}, {}", greeting.word, to.name);
    Ok(Greeted { message, revision: greeting.revision })
}

#[polyport::main]
async fn main() -> Result<()> {
    let greeter = module("greeter", |m| {
        m.settings::<Greeting>().http(|r| r.get("/greeting", greet));
        Ok(())
    });
    Bootstrap::new()
        .load(HttpFramework::new())
        .module(greeter)
        .before(async |container| {
            let config = container.config();
            let center = start_center(config.peek_or_default("center.down")?).await?;
            let remote = RemoteConfig::new("config center", move || fetch(center));
            remote.sync(&config).await
        })
        .run()
        .await
}

/// Asks the config center.
async fn fetch(center: SocketAddr) -> Result<Value> {
    let stream = TcpStream::connect(center).await?;
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/config").header("host", "center").body(Empty::<Bytes>::new())?;
    let reply = client.send_request(request).await?;
    if !reply.status().is_success() {
        return Err(Error::connection(format!("the config center answers {}", reply.status())));
    }
    Ok(serde_json::from_slice(&reply.into_body().collect().await?.to_bytes())?)
}

/// Starts the config center; where it is to be down, nobody listens at its address.
async fn start_center(is_down: bool) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    if !is_down {
        tokio::spawn(serve_center(listener));
    }
    Ok(address)
}

async fn serve_center(listener: TcpListener) {
    let revision = Arc::new(AtomicU32::new(0));
    while let Ok((stream, _)) = listener.accept().await {
        let revision = Arc::clone(&revision);
        let answer = service_fn(move |_: Request<Incoming>| {
            let revision = revision.fetch_add(1, Ordering::Relaxed) + 1;
            std::future::ready(Ok::<_, hyper::Error>(Response::new(configuration(revision))))
        });
        let stream = TokioIo::new(stream);
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, answer));
    }
}

fn configuration(revision: u32) -> Full<Bytes> {
    let values = json!({
        "http": { "port": 7011 },
        "greeting": { "word": "Good day", "revision": revision },
    });
    Full::new(Bytes::from(values.to_string()))
}
