//! Running out of file descriptors. A file of its own: the limit is the whole process's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs::File,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use support::{Raw, eventually, hello, serve};
use tracing::{Event, Level, Metadata, Subscriber, span};

#[tokio::test]
async fn clients_are_served_again_once_there_are_descriptors() {
    tracing::subscriber::set_global_default(CountWarnings).unwrap();
    let (_shared, server) = serve(hello()).await;
    let taken = take_all_but_one();

    // The client's own end takes the last.
    let mut client = Raw::connect(server.local_addr().unwrap()).await;
    client.send("/").await;
    eventually("the server has failed to accept", || WARNINGS.load(SeqCst) == 1).await;
    assert!(File::open("/dev/null").is_err());

    drop(taken);
    assert_eq!(client.reply().await.body, "hello");
    assert_eq!(WARNINGS.load(SeqCst), 1, "one warning, however often it tried");
}

fn take_all_but_one() -> Vec<File> {
    let pid = std::process::id().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, "--nofile=128:"]).status().unwrap();
    assert!(limited.success(), "prlimit (util-linux) sets the limit");
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken.pop();
    taken
}

static WARNINGS: AtomicUsize = AtomicUsize::new(0);

struct CountWarnings;

impl Subscriber for CountWarnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        WARNINGS.fetch_add(1, SeqCst);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
