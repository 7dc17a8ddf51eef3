//! Servers by other frameworks for the benchmark side by side, which builds and starts this program:
//! `side-by-side-others --serve SERVER CORES`, as itself. Each says where it listens.

mod actix;
mod fastwebsockets;
#[allow(dead_code, reason = "only polyport is sent forms")]
#[path = "../servers/http/payload.rs"]
mod payload;
mod summer;
#[path = "../servers/websocket/talk.rs"]
mod talk;

use std::{
    env,
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
};

use rustix::thread::{CpuSet, sched_setaffinity};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "side-by-side-others: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result {
    let mut words = env::args().skip(2);
    let (server, cores) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let cores: usize = cores.parse()?;
    pin(cores)?;
    match server.as_str() {
        "http-actix" => actix::serve(cores),
        "http-summer" => summer::serve(),
        "websocket-fastwebsockets" => fastwebsockets::serve(),
        other => Err(format!("there is no server {other:?}").into()),
    }
}

/// Keeps this process on the first cores.
fn pin(cores: usize) -> Result {
    let mut set = CpuSet::new();
    (0..cores).for_each(|core| set.set(core));
    Ok(sched_setaffinity(None, &set)?)
}

/// Says where it listens.
fn say(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{address}")?;
    out.flush()
}
