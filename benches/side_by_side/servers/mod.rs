//! The servers that are compared. Each is this program, started with [`WORD`] and a server's name.

pub(crate) mod amqp;
pub(crate) mod grpc;
pub(crate) mod http;
mod log;
mod start;
pub(crate) mod websocket;

use std::{future::Future, io::Write, net::SocketAddr, pin::Pin};

use polyport::{Context, Error, Fault, Result};
use tokio::{net::TcpListener, runtime::Builder};

use crate::cores;

/// The first word of a process that is to serve.
pub(crate) const WORD: &str = "--serve";

/// The one that does without tokio.
pub(crate) const EPOLL: &str = "http-epoll";

/// What serves until the process is killed.
pub(crate) type Serving = Pin<Box<dyn Future<Output = Result<()>>>>;

/// Serves until the process is killed, and says first where.
pub(crate) fn serve(server: &str, count: &str, argument: &str) -> Result<()> {
    cores::pin(&cores::of_servers(count.parse()?))?;
    if server == EPOLL {
        return http::epoll::serve();
    }
    // As `tokio::main` has it: a worker for each core that the process may use.
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let serving = find(server, argument);
    let serving = serving.ok_or_else(|| Error::other(format!("there is no server {server:?}")))?;
    runtime.block_on(serving)
}

/// The server of that name, where it runs on tokio.
pub(crate) fn find(server: &str, argument: &str) -> Option<Serving> {
    http::find(server)
        .or_else(|| websocket::find(server))
        .or_else(|| grpc::find(server))
        .or_else(|| amqp::find(server, argument))
        .or_else(|| start::find(server))
}

/// Says where it listens.
fn say(address: SocketAddr) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{address}")?;
    Ok(out.flush()?)
}

/// A listener on a free port, of which it has told.
async fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(listener.local_addr()?)?;
    Ok(listener)
}

/// The guard of polyport's servers.
fn has_token(context: &Context) -> Result<(), Fault> {
    match context.metadata.contains_key(::http::header::AUTHORIZATION) {
        true => Ok(()),
        false => Err(Fault::unauthenticated("NO_TOKEN", "the call carries no token")),
    }
}
