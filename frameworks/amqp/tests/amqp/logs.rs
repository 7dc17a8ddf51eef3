//! What is logged, by all tests of this process.

use std::{
    io::{self, Write},
    sync::{Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use tokio::time::timeout;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::LIMIT;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Collects lines from now on.
pub(crate) fn collect() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(Lines);
        // Where a test sets another one, the wait for a line fails.
        let _ = subscriber.with_max_level(tracing::Level::INFO).try_init();
    });
}

/// Waits for a line that names both: the name of a queue, say, and what is told of it.
pub(crate) async fn until(name: &str, what: &str) {
    let told = || {
        let lines = lines();
        let lines = String::from_utf8_lossy(&lines);
        lines.lines().any(|line| line.contains(name) && line.contains(what))
    };
    let waiting = async {
        while !told() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let told = timeout(LIMIT, waiting).await;
    assert!(told.is_ok(), "no line tells that {name} {what}");
}

fn lines() -> MutexGuard<'static, Vec<u8>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lines().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
