//! How long a test waits for something.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::time::sleep;

/// How long anything may take in a test.
pub const LIMIT: Duration = Duration::from_secs(10);

/// How much time may pass meanwhile where the clock is paused, and so jumps from timer to timer.
const LIMIT_WHILE_PAUSED: Duration = Duration::from_secs(24 * 60 * 60);

/// Gives up on `future` after [`LIMIT`]. Where the clock is paused (`tokio::time::pause`) that time
/// passes at once, so there it is a day: what a server does after an hour can be waited for.
///
/// # Errors
/// Returns what did not come about, for the message of the failed test.
///
/// # Cancel safety
/// As `future`.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> Result<T, String> {
    let done = at_most(LIMIT, future).await;
    done.ok_or_else(|| format!("{what} takes longer than {LIMIT:?}"))
}

/// As [`within`], with another limit; none where `future` does not end in that time.
///
/// # Cancel safety
/// As `future`.
pub async fn at_most<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        let begun = Instant::now();
        sleep(limit).await;
        if begun.elapsed() < limit {
            sleep(LIMIT_WHILE_PAUSED).await;
        }
    };
    tokio::select! {
        biased;
        done = future => Some(done),
        () = late => None,
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_may_jump_far_and_not_for_ever() {
        let hour = Duration::from_secs(60 * 60);
        assert_eq!(within("an hour", sleep(hour)).await, Ok(()));
        let endless = timeout(LIMIT_WHILE_PAUSED * 2, within("eternity", pending::<()>())).await;
        assert_eq!(endless.expect("ends"), Err("eternity takes longer than 10s".to_owned()));
    }
}
