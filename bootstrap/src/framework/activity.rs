use std::{fmt, time::Duration};

use serde::Serialize;

use crate::operation::{ActiveOperation, sentence};

/// What a framework knows of its calls in flight. It must not hold the container.
pub trait Activity: Send + Sync {
    /// How many calls are in flight, from their first byte until their answer is written.
    fn calls(&self) -> usize;

    /// What keeps them from ending that is no operation's fault: `"127.0.0.1:52114 does not read
    /// its answer"`.
    fn obstacles(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a framework is working on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ActiveFramework {
    /// The framework, as reports name it.
    pub framework: String,
    /// How many calls are in flight, from their first byte until their answer is written.
    pub calls: usize,
    /// Those that an operation works on, by operation; the one with the oldest call first.
    pub operations: Vec<ActiveOperation>,
    /// What keeps calls from ending that is no operation's fault.
    pub obstacles: Vec<String>,
}

impl ActiveFramework {
    /// Whether nothing is in flight.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.calls == 0 && self.operations.is_empty()
    }

    /// The age of the oldest call that an operation works on.
    #[must_use]
    pub fn oldest(&self) -> Option<Duration> {
        self.operations.first().map(|operation| operation.oldest)
    }

    /// How many calls there are: operations may count one that the transport does not, and the
    /// other way round.
    pub(crate) fn count(&self) -> usize {
        let named: usize = self.operations.iter().map(|operation| operation.calls).sum();
        self.calls.max(named)
    }

    /// What it works on, and what it waits for: `get_user (GET /users): 2 for up to 10.2 s`.
    pub(crate) fn details(&self) -> String {
        let named: usize = self.operations.iter().map(|operation| operation.calls).sum();
        let told = [sentence(&self.operations)].into_iter().filter(|text| !text.is_empty());
        let rest = match self.calls.saturating_sub(named + self.obstacles.len()) {
            0 => None,
            rest => {
                Some(format!("{rest} outside of operations (in a mounted router, on the wire)"))
            }
        };
        let told = told.chain(self.obstacles.iter().cloned()).chain(rest);
        told.collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for ActiveFramework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count();
        write!(
            f,
            "{}: {count} {} in flight",
            self.framework,
            if count == 1 { "call" } else { "calls" }
        )?;
        match self.details() {
            details if details.is_empty() => Ok(()),
            details => write!(f, " ({details})"),
        }
    }
}
