//! What a server says when it has done so much.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// How many messages warm a server up, and how many are measured.
pub(crate) const WARM: u64 = 1_000;
pub(crate) const MESSAGES: u64 = 10_000;

/// Counts messages, and says a line when it is warm and when it is done.
#[derive(Clone, Default)]
pub(super) struct Marks(Arc<AtomicU64>);

impl Marks {
    pub(super) fn count(&self) {
        match self.0.fetch_add(1, Relaxed) + 1 {
            WARM => say("warm"),
            count if count == WARM + MESSAGES => say("done"),
            _ => {}
        }
    }
}

/// Nobody hears it where that fails, and then nothing waits for it either.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
