//! The queues that stand beside a consumed one: where its messages wait for their next attempt,
//! and where they end.

use std::time::Duration;

use super::{Overflow, Queue, queue::DEAD_LETTER_STRATEGY};

/// How often a message for one instance is given out. Each lost connection counts.
const DELIVERIES: u32 = 1000;

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
        Self { dead: dead_name(queue), retries }
    }

    /// The queue of a consumer for one instance. What the broker has given out too often ends where
    /// messages are parked. The limit says so in all versions: without one RabbitMQ 4 takes 20, and
    /// RabbitMQ 3 puts what comes back to the end of the queue.
    pub(crate) fn of_one_instance(queue: &str) -> Queue {
        let main = Queue::quorum(queue).single_active_consumer().delivery_limit(DELIVERIES);
        kept(main.dead_letter("", dead_name(queue)))
    }

    /// The queue where messages of `main` end: as safe as `main` itself.
    pub(crate) fn dead_queue(main: &Queue) -> Queue {
        beside(main, dead_name(&main.name))
    }

    /// The queue where messages of `main` wait: their time over, the broker moves them back. A
    /// quorum queue holds each until `main` has it; a classic one lets go of it first.
    pub(crate) fn retry_queue(main: &Queue, delay: Duration) -> Queue {
        let queue = beside(main, retry_name(&main.name, delay))
            .message_ttl(delay)
            .dead_letter("", &main.name);
        if !main.is_quorum() {
            return queue;
        }
        kept(queue)
    }
}

/// Holds each dead letter until the queue where it ends has it. RabbitMQ takes the strategy only
/// where the queue never drops what is in it.
fn kept(queue: Queue) -> Queue {
    queue.argument(DEAD_LETTER_STRATEGY, "at-least-once").overflow(Overflow::RejectPublish)
}

fn beside(main: &Queue, name: String) -> Queue {
    if main.is_quorum() { Queue::quorum(name) } else { Queue::new(name) }
}

fn dead_name(queue: &str) -> String {
    format!("{queue}.dead")
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

    #[test]
    fn what_stands_beside_a_quorum_queue_is_as_safe_as_it() {
        let main = Queue::quorum("q");
        let (retry, dead) =
            (Steps::retry_queue(&main, Duration::from_secs(1)), Steps::dead_queue(&main));
        assert!(retry.is_quorum() && dead.is_quorum());
        assert_eq!(retry.arguments.text(DEAD_LETTER_STRATEGY), Some("at-least-once"));
        assert_eq!(retry.arguments.text("x-overflow"), Some("reject-publish"));
    }

    #[test]
    fn what_stands_beside_a_classic_queue_is_classic() {
        let main = Queue::new("q");
        let retry = Steps::retry_queue(&main, Duration::from_secs(1));
        assert!(!retry.is_quorum() && !Steps::dead_queue(&main).is_quorum());
        assert_eq!(retry.arguments.get(DEAD_LETTER_STRATEGY), None);
    }
}
