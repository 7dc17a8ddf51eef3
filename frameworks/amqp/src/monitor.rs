//! What is known of the connections, for health, logs and application code.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::SystemTime,
};

use polyport_bootstrap::Indicator;
use tokio::sync::watch;

/// What one connection is for. A broker that runs out of memory stops reading from connections
/// that publish, so that acknowledgements need another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Publish,
    Consume,
}

impl Side {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
        }
    }
}

/// Whether the broker is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AmqpState {
    /// Whether every connection that is needed is up.
    pub connected: bool,
    /// Since when this is so.
    pub since: SystemTime,
    /// Why it is not connected: the last error.
    pub reason: Option<String>,
    /// How often a new connection was tried in vain since it was lost.
    pub attempts: u32,
}

/// The state of both connections; tells [`Health`](polyport_bootstrap::Health).
#[derive(Debug)]
pub(crate) struct Monitor {
    indicator: Indicator,
    sides: watch::Sender<[Option<String>; 2]>,
    state: watch::Sender<AmqpState>,
    frame_max: AtomicU32,
    /// How many messages were dropped whose handling failed, and that nobody keeps.
    pub(crate) dropped: AtomicU64,
}

impl Monitor {
    /// Neither side is up yet; the consuming one counts only where something is consumed.
    pub(crate) fn new(indicator: Indicator, consumes: bool) -> Self {
        let reason = "not connected yet".to_owned();
        indicator.down(&reason);
        let state = AmqpState {
            connected: false,
            since: SystemTime::now(),
            reason: Some(reason.clone()),
            attempts: 0,
        };
        let consume = consumes.then(|| reason.clone());
        Self {
            indicator,
            sides: watch::Sender::new([Some(reason), consume]),
            state: watch::Sender::new(state),
            // AMQP 0-9-1 lets a broker ask for less; RabbitMQ's default until it has spoken.
            frame_max: AtomicU32::new(128 * 1024),
            dropped: AtomicU64::new(0),
        }
    }

    pub(crate) fn up(&self, side: Side) {
        self.set(side, None);
    }

    pub(crate) fn down(&self, side: Side, reason: String) {
        self.set(side, Some(reason));
    }

    /// Counts a vain attempt to connect.
    pub(crate) fn failed(&self, side: Side, reason: String) {
        self.state.send_modify(|state| state.attempts = state.attempts.saturating_add(1));
        self.set(side, Some(reason));
    }

    pub(crate) fn state(&self) -> watch::Receiver<AmqpState> {
        self.state.subscribe()
    }

    /// Why the publishing connection is down, if it is.
    pub(crate) fn publish_trouble(&self) -> Option<String> {
        self.sides.borrow()[Side::Publish as usize].clone()
    }

    pub(crate) fn set_frame_max(&self, frame_max: u32) {
        self.frame_max.store(frame_max, Ordering::Relaxed);
    }

    /// The longest frame that the broker takes, in bytes.
    pub(crate) fn frame_max(&self) -> usize {
        self.frame_max.load(Ordering::Relaxed) as usize
    }

    fn set(&self, side: Side, trouble: Option<String>) {
        // Under the lock of `sides`, so that two connections cannot overtake each other.
        self.sides.send_modify(|sides| {
            sides[side as usize] = trouble;
            let reason = sides.iter().flatten().next().cloned();
            match &reason {
                None => self.indicator.up(),
                Some(reason) => self.indicator.down(reason),
            }
            self.state.send_modify(|state| *state = next(state, reason));
        });
    }
}

fn next(state: &AmqpState, reason: Option<String>) -> AmqpState {
    let connected = reason.is_none();
    AmqpState {
        connected,
        since: if connected == state.connected { state.since } else { SystemTime::now() },
        attempts: if connected { 0 } else { state.attempts },
        reason,
    }
}

#[cfg(test)]
mod tests {
    use polyport_bootstrap::Health;

    use super::*;

    #[test]
    fn it_is_connected_when_both_sides_are() {
        let health = Health::default();
        health.set_serving(true);
        let monitor = Monitor::new(health.indicator("amqp"), true);
        assert!(!health.readiness().ready);
        monitor.up(Side::Publish);
        assert!(!monitor.state().borrow().connected);
        monitor.up(Side::Consume);
        assert!(monitor.state().borrow().connected && health.readiness().ready);

        monitor.down(Side::Consume, "cut".to_owned());
        monitor.failed(Side::Consume, "refused".to_owned());
        let state = monitor.state().borrow().clone();
        assert_eq!((state.connected, state.attempts), (false, 1));
        assert_eq!(state.reason.as_deref(), Some("refused"));
        assert_eq!(monitor.publish_trouble(), None);
        monitor.up(Side::Consume);
        assert_eq!(monitor.state().borrow().attempts, 0);
    }

    #[test]
    fn without_consumers_the_publishing_side_is_all() {
        let monitor = Monitor::new(Health::default().indicator("amqp"), false);
        monitor.up(Side::Publish);
        assert!(monitor.state().borrow().connected);
    }
}
