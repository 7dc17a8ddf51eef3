//! What is in flight, for people and as data.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use serde::Serialize;

/// An operation that has calls in flight by one of its routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ActiveOperation {
    /// The operation's name.
    pub operation: String,
    /// The route as its protocol knows it: `GET /users`.
    pub route: String,
    /// How many calls there are.
    pub calls: usize,
    /// Of how many of them the request is still being read.
    pub reading: usize,
    /// How long ago the oldest of them began.
    pub oldest: Duration,
}

impl fmt::Display for ActiveOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, route, calls, reading, oldest } = self;
        write!(f, "{operation} ({route}): {calls} for up to {:.1} s", oldest.as_secs_f64())?;
        match reading {
            0 => Ok(()),
            reading => write!(f, ", the client of {reading} does not finish its request"),
        }
    }
}

/// `get_user (GET /users): 2 for up to 10.2 s; …`
pub(crate) fn sentence(operations: &[ActiveOperation]) -> String {
    let mut text = String::new();
    for operation in operations {
        let separator = if text.is_empty() { "" } else { "; " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{operation}");
    }
    text
}
