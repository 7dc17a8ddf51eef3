//! A broker that lets nobody in, 1,000 times: no thread, socket or memory stays behind. Alone in
//! its process, whose threads and sockets are counted.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

use std::{env, fs, future::Future, sync::Arc, time::Duration};

use polyport_amqp::{AmqpFramework, AmqpModule};
use polyport_bootstrap::{
    Bootstrap, Fault, Module, ModuleBuilder, Result,
    testing::{TestApp, TestBootstrap, create_bootstrap},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use free_port::FreePort;

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../../../tests/common/free_port.rs"]
mod free_port;

/// The header with which a client begins (AMQP 0-9-1, section 4.2.2).
const HEADER: usize = 8;

/// What may come and go; one leak of a thousand would be far above it.
const SLACK: usize = 8;

struct Consumes;

async fn nothing() -> Result<(), Fault> {
    Ok(())
}

impl Module for Consumes {
    fn name(&self) -> &'static str {
        "consumes"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.amqp(|q| q.consume("never", nothing));
        Ok(())
    }
}

fn app(url: &str) -> TestBootstrap {
    let bootstrap = Bootstrap::new().load(AmqpFramework::new()).module(Consumes);
    create_bootstrap(bootstrap).config("amqp.url", url)
}

/// What this process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    threads: usize,
    files: usize,
    kilobytes: usize,
}

impl Held {
    fn now() -> Self {
        let count = |folder: &str| fs::read_dir(folder).expect("/proc").count();
        let status = fs::read_to_string("/proc/self/status").expect("/proc");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        let kilobytes = rss.trim().trim_end_matches("kB").trim().parse().expect("a number");
        Self { threads: count("/proc/self/task"), files: count("/proc/self/fd"), kilobytes }
    }

    /// Waits until no more is held than `before`, but for what the allocator and the runtime's
    /// pool of threads keep.
    async fn settles_to(before: Self, what: &str) {
        let settled = async {
            loop {
                let now = Self::now();
                if now.threads <= before.threads + SLACK && now.files <= before.files + SLACK {
                    return now;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let now = timeout(Duration::from_secs(20), settled).await;
        let now = now.unwrap_or_else(|_| panic!("{what}: {before:?} became {:?}", Self::now()));
        let grown = now.kilobytes.saturating_sub(before.kilobytes);
        // The buffers of one connection have 8 MB, four connect at a time, each by two of them, and
        // the allocator keeps pieces. A thousand of anything that leaks would have more.
        assert!(grown < 80 * 1024, "{what}: {grown} kB more: {before:?} became {now:?}");
    }
}

/// Fails to start, so often, four at a time.
async fn fail_to_start(url: &str, limit: &str, count: usize, what: &str) {
    let once = async || {
        let app = app(url).config("amqp.connect_timeout", limit);
        let started = timeout(Duration::from_secs(20), app).await.expect("the start hangs");
        started.map(drop).expect_err("nobody is let in");
    };
    let four = async || tokio::join!(once(), once(), once(), once());
    for _ in 0..10 {
        four().await;
    }
    let before = Held::now();
    for _ in 0..count / 4 {
        four().await;
    }
    Held::settles_to(before, what).await;
}

/// Accepts, and does with each client what `answer` says.
async fn peer<F: Future<Output = ()> + Send>(
    answer: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("amqp://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move { answer(client).await });
        }
    });
    url
}

/// Says nothing, until the client is gone.
async fn silent(mut client: TcpStream) {
    let _ = client.read_to_end(&mut Vec::new()).await;
}

async fn closes_after_the_header(mut client: TcpStream) {
    let _ = client.read_exact(&mut [0; HEADER]).await;
}

/// Half of the frame that a broker begins with.
async fn tears_its_frame(mut client: TcpStream) {
    let _ = client.read_exact(&mut [0; HEADER]).await;
    let _ = client.write_all(&[1, 0, 0, 0, 0, 1, 255, 0, 10]).await;
}

async fn refuses_at_start() {
    let nobody = FreePort::reserve();
    let closed = format!("amqp://{}", nobody.address());
    fail_to_start(&closed, "10s", 1000, "a closed port").await;
    fail_to_start(&peer(silent).await, "20ms", 1000, "a silent peer").await;
    fail_to_start(&peer(closes_after_the_header).await, "10s", 1000, "one that closes").await;
    fail_to_start(&peer(tears_its_frame).await, "20ms", 1000, "a torn frame").await;
    if let Ok(url) = env::var("POLYPORT_TEST_AMQP_URL") {
        let address = url.rsplit_once('@').expect("credentials").1;
        let wrong = format!("amqp://guest:wrong@{address}");
        fail_to_start(&wrong, "10s", 48, "wrong credentials").await;
    }
}

/// A process that runs, and tries again and again.
async fn tries_again() {
    let url = peer(closes_after_the_header).await;
    let app: TestApp = app(&url).config("amqp.start", "degraded").await.expect("starts");
    let amqp = app.app::<polyport_amqp::AmqpApp>().expect("loaded");
    let mut changes = amqp.state_changes();
    let attempts = async |changes: &mut tokio::sync::watch::Receiver<_>, count| {
        let enough = changes.wait_for(|state: &polyport_amqp::AmqpState| state.attempts >= count);
        drop(timeout(Duration::from_secs(60), enough).await.expect("it tries").expect("it lives"));
    };
    attempts(&mut changes, 4).await;
    let before = Held::now();
    attempts(&mut changes, 10).await;
    Held::settles_to(before, "a process that tries again").await;
    app.close().await.expect("a clean stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_failed_connects_leave_nothing_behind() {
    refuses_at_start().await;
    tries_again().await;
}
