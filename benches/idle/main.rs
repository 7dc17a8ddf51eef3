//! What idle WebSocket connections cost in memory, side by side with a server written by hand on
//! tokio-tungstenite, in one run: `cargo bench -p polyport-bench-idle`.
//!
//! Each server is a process of its own. The clients connect, send one message, get it back, and
//! say nothing more; then the system is asked what memory the server has resident (`proc(5)`,
//! `VmRSS`). It takes two open files a connection, one of them in each process: where
//! `ulimit -n` allows fewer than 10,000, give the number: `cargo bench … -- 5000`.

mod clients;
mod servers;

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use polyport_bootstrap::{Error, Result};
use servers::Server;
use tokio::runtime::Runtime;

const CONNECTIONS: usize = 10_000;

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [word, server] = &words[..]
        && word == servers::WORD
    {
        return servers::serve(server);
    }
    // `cargo bench` says so; `cargo test --all-targets` runs the program too, and has nothing to test.
    if !words.iter().any(|word| word == "--bench") {
        return Ok(());
    }
    let connections = words.iter().find_map(|word| word.parse().ok()).unwrap_or(CONNECTIONS);
    report(connections)
}

fn report(connections: usize) -> Result<()> {
    let mut out = io::stdout().lock();
    let title = format!("Memory of {connections} idle WebSocket connections");
    writeln!(out, "{title:<46}{:>16}{:>8}", "bytes each", "ratio")?;
    let mut by_hand = None;
    for server in Server::ALL {
        let each = measure(server, connections)?;
        let ratio = each / *by_hand.get_or_insert(each);
        writeln!(out, "  {:<44}{each:>16.0}{ratio:>8.2}", server.name())?;
    }
    Ok(())
}

/// Bytes of resident memory for each connection.
fn measure(server: Server, connections: usize) -> Result<f64> {
    let mut process = Process::start(server)?;
    let address = process.address()?;
    let runtime = Runtime::new()?;
    // What every server takes for its first clients is not what one more costs.
    let warm = runtime.block_on(clients::connect(address, server.path(), 100))?;
    let before = process.resident()?;
    let all = runtime.block_on(clients::connect(address, server.path(), connections))?;
    let after = process.resident()?;
    drop((warm, all));
    Ok((after - before) / connections as f64)
}

/// A server, ended when this is dropped.
struct Process(Child);

impl Process {
    fn start(server: Server) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args([servers::WORD, server.word()]);
        Ok(Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?))
    }

    /// The address, which is the first line that it says.
    fn address(&mut self) -> Result<SocketAddr> {
        let mut line = String::new();
        let said = self.0.stdout.take().ok_or_else(|| Error::other("the server says nothing"))?;
        BufReader::new(said).read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }

    fn resident(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line
            .and_then(|line| line.trim().strip_suffix("kB"))
            .ok_or_else(|| Error::other("no VmRSS"))?;
        Ok(kilobytes.trim().parse::<f64>()? * 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
