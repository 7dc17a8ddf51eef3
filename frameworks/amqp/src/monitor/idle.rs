//! Consumers that get nothing.

use std::collections::BTreeMap;

/// Which consumers get nothing, and why.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Those that are silent, in words.
    pub(super) silent: Option<String>,
    /// Of each queue that cannot be consumed from, why.
    refused: BTreeMap<String, String>,
}

impl Idle {
    pub(super) fn set(&mut self, queue: &str, trouble: Option<String>) {
        match trouble {
            Some(trouble) => drop(self.refused.insert(queue.to_owned(), trouble)),
            None => drop(self.refused.remove(queue)),
        }
    }

    /// All of them, in words.
    pub(super) fn reason(&self) -> Option<String> {
        let refused = self.refused.iter();
        let refused = refused.map(|(queue, why)| format!("\"{queue}\" is not consumed: {why}"));
        let all: Vec<_> = refused.chain(self.silent.clone()).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}
