//! The queues that stand beside a consumed one: where its messages wait for their next attempt,
//! and where they end.

use std::time::Duration;

use super::Queue;

/// The names of the queues beside one that is consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Where messages are parked for good.
    pub(crate) dead: String,
    /// Where they wait, one queue for each attempt after the first: messages of different delays
    /// in one queue would wait for each other.
    pub(crate) retries: Vec<String>,
}

impl Steps {
    pub(crate) fn of(queue: &str, delays: &[Duration]) -> Self {
        let retries = delays.iter().map(|delay| retry_name(queue, *delay)).collect();
        Self { dead: format!("{queue}.dead"), retries }
    }

    /// The queue where messages wait: their time over, the broker moves them back.
    pub(crate) fn retry_queue(queue: &str, delay: Duration) -> Queue {
        let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Queue::new(retry_name(queue, delay))
            .argument("x-message-ttl", milliseconds)
            .argument("x-dead-letter-exchange", "")
            .argument("x-dead-letter-routing-key", queue)
    }
}

fn retry_name(queue: &str, delay: Duration) -> String {
    let delay = humantime::format_duration(delay).to_string().replace(' ', "");
    format!("{queue}.retry.{delay}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_named_after_their_delays() {
        let steps = Steps::of("q", &[1, 5, 90].map(Duration::from_secs));
        assert_eq!(steps.dead, "q.dead");
        assert_eq!(steps.retries, ["q.retry.1s", "q.retry.5s", "q.retry.1m30s"]);
    }
}
