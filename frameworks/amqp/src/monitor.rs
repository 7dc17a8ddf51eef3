//! What is known of the connections, for health, logs and application code.

mod idle;

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use polyport_bootstrap::{Health, Indicator};
use tokio::sync::watch;

use self::idle::Idle;
use crate::{
    metrics::ConnectionMetrics,
    state::{AmqpState, Blocked},
};

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

/// The state of both connections; tells [`Health`].
#[derive(Debug)]
pub(crate) struct Monitor {
    voices: Voices,
    metrics: ConnectionMetrics,
    sides: watch::Sender<[Option<String>; 2]>,
    state: watch::Sender<AmqpState>,
    blocked: watch::Sender<Option<Blocked>>,
    frame_max: AtomicU32,
    idle: Mutex<Idle>,
    /// Whether each side was connected once.
    was_up: [AtomicBool; 2],
    /// How many messages were dropped whose handling failed, and that nobody keeps.
    pub(crate) dropped: AtomicU64,
}

/// What health is told by.
#[derive(Debug)]
pub(crate) struct Voices {
    /// Whether the broker is connected.
    connected: Indicator,
    /// Whether it takes messages.
    publishing: Indicator,
    /// Whether every consumer consumes, and gets what waits.
    consuming: Indicator,
    /// Whether it has what is declared.
    topology: Indicator,
}

impl Voices {
    /// Those of the framework that reports call `title`; `required` is whether the process is not
    /// ready without the broker. One that takes no messages, gives none, or refuses a declaration,
    /// only degrades it.
    pub(crate) fn new(health: &Health, title: &str, required: bool) -> Self {
        Self {
            connected: health.indicator(title).critical(required),
            publishing: health.indicator(format!("{title} publishing")).critical(false),
            consuming: health.indicator(format!("{title} consuming")).critical(false),
            topology: health.indicator(format!("{title} topology")).critical(false),
        }
    }
}

impl Monitor {
    /// Neither side is up yet; the consuming one counts only where something is consumed.
    pub(crate) fn new(voices: Voices, metrics: ConnectionMetrics, consumes: bool) -> Self {
        const NOT_YET: &str = "not connected yet";
        voices.connected.down(NOT_YET);
        let consume = consumes.then(|| NOT_YET.to_owned());
        Self {
            voices,
            metrics,
            sides: watch::Sender::new([Some(NOT_YET.to_owned()), consume]),
            state: watch::Sender::new(AmqpState::unconnected(NOT_YET)),
            blocked: watch::Sender::new(None),
            // AMQP 0-9-1 lets a broker ask for less; RabbitMQ's default until it has spoken.
            frame_max: AtomicU32::new(128 * 1024),
            idle: Mutex::default(),
            was_up: Default::default(),
            dropped: AtomicU64::new(0),
        }
    }

    pub(crate) fn up(&self, side: Side) {
        if self.was_up[side as usize].swap(true, Ordering::Relaxed) {
            self.metrics.reconnected(side);
        }
        self.set(side, None);
    }

    pub(crate) fn down(&self, side: Side, reason: String) {
        self.set(side, Some(reason));
        if side == Side::Publish {
            self.set_blocked(None);
        }
    }

    /// Counts a vain attempt to connect.
    pub(crate) fn failed(&self, side: Side, reason: String) {
        self.metrics.failed(side);
        self.state.send_modify(|state| state.attempts = state.attempts.saturating_add(1));
        self.set(side, Some(reason));
    }

    pub(crate) fn state(&self) -> watch::Receiver<AmqpState> {
        self.state.subscribe()
    }

    /// Whether the broker has asked for nothing to be published, to wait for changes. A connection
    /// that is lost is not blocked any more.
    pub(crate) fn blocked(&self) -> watch::Receiver<Option<Blocked>> {
        self.blocked.subscribe()
    }

    /// The broker takes no messages, for this reason, or takes them again.
    pub(crate) fn set_blocked(&self, reason: Option<String>) {
        tell(&self.voices.publishing, reason.as_deref());
        self.metrics.blocked(reason.is_some());
        let blocked = reason.map(Blocked::now);
        // First those who publish: whoever sees it in the state finds that they have been told.
        self.blocked.send_replace(blocked.clone());
        self.state.send_if_modified(|state| {
            let changes = state.blocked.is_some() || blocked.is_some();
            state.blocked = blocked;
            changes
        });
    }

    /// Some consumers get nothing although messages wait, or no longer.
    pub(crate) fn set_silent(&self, reason: Option<String>) {
        self.set_idle(|idle| idle.silent = reason);
    }

    /// The consumer of this queue does not consume, for this reason, or does so again.
    pub(crate) fn consuming(&self, queue: &str, trouble: Option<String>) {
        self.set_idle(|idle| idle.set(queue, trouble));
    }

    fn set_idle(&self, change: impl FnOnce(&mut Idle)) {
        // Told under the lock, so that two consumers cannot overtake each other.
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut idle);
        tell(&self.voices.consuming, idle.reason().as_deref());
    }

    /// The broker refuses some of what is declared, or has everything.
    pub(crate) fn set_undeclared(&self, reason: Option<&str>) {
        tell(&self.voices.topology, reason);
    }

    /// Why the consuming connection is down, if it is.
    pub(crate) fn consume_trouble(&self) -> Option<String> {
        self.sides.borrow()[Side::Consume as usize].clone()
    }

    /// Why the publishing connection is down, if it is.
    pub(crate) fn publish_trouble(&self) -> Option<String> {
        self.sides.borrow()[Side::Publish as usize].clone()
    }

    /// The node that `side` is connected to now.
    pub(crate) fn set_node(&self, side: Side, node: String) {
        if side == Side::Publish {
            self.state.send_if_modified(|state| {
                let changes = state.node.as_ref() != Some(&node);
                state.node = Some(node);
                changes
            });
        }
    }

    pub(crate) fn set_frame_max(&self, frame_max: u32) {
        self.frame_max.store(frame_max, Ordering::Relaxed);
    }

    /// The longest frame that the broker takes, in bytes.
    pub(crate) fn frame_max(&self) -> usize {
        self.frame_max.load(Ordering::Relaxed) as usize
    }

    fn set(&self, side: Side, trouble: Option<String>) {
        self.metrics.connected(side, trouble.is_none());
        // Under the lock of `sides`, so that two connections cannot overtake each other.
        self.sides.send_modify(|sides| {
            sides[side as usize] = trouble;
            let reason = sides.iter().flatten().next().cloned();
            tell(&self.voices.connected, reason.as_deref());
            self.state.send_modify(|state| state.set_trouble(reason));
        });
    }
}

fn tell(indicator: &Indicator, trouble: Option<&str>) {
    match trouble {
        None => indicator.up(),
        Some(reason) => indicator.down(reason),
    }
}

#[cfg(test)]
mod tests {
    use polyport_bootstrap::{Health, HealthStatus};

    use super::*;

    fn monitor(health: &Health, consumes: bool) -> Monitor {
        let voices = Voices::new(health, "amqp", true);
        Monitor::new(voices, ConnectionMetrics::new("default"), consumes)
    }

    #[test]
    fn it_is_connected_when_both_sides_are() {
        let health = Health::default();
        health.set_serving(true);
        let monitor = monitor(&health, true);
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
        let monitor = monitor(&Health::default(), false);
        monitor.up(Side::Publish);
        assert!(monitor.state().borrow().connected);
    }

    #[test]
    fn a_broker_that_takes_no_messages_degrades_until_it_does_or_is_lost() {
        let health = Health::default();
        health.set_serving(true);
        let monitor = monitor(&health, false);
        monitor.up(Side::Publish);
        monitor.set_blocked(Some("low on memory".to_owned()));
        let readiness = health.readiness();
        assert_eq!((readiness.ready, readiness.status), (true, HealthStatus::Degraded));
        let reason = readiness.reason.expect("a reason");
        assert!(reason.contains("amqp publishing") && reason.contains("low on memory"), "{reason}");
        let told = monitor.blocked().borrow().clone().expect("blocked");
        assert_eq!(told.reason, "low on memory");
        assert_eq!(monitor.state().borrow().blocked.as_ref(), Some(&told));
        monitor.down(Side::Publish, "cut".to_owned());
        monitor.up(Side::Publish);
        assert!(monitor.blocked().borrow().is_none() && monitor.state().borrow().blocked.is_none());
        assert_eq!(health.readiness().status, HealthStatus::Up);
    }
}
