//! The section `amqp` of the configuration.

use std::{collections::BTreeMap, time::Duration};

use garde::Validate;
use humantime_serde::Serde;
use polyport_bootstrap::{Settings, framework::SettingsSource, wire::EnvelopeStyle};
use serde::{Deserialize, Deserializer};

use crate::{
    broker::BrokerUrls,
    publisher::PublishSettings,
    tls::AmqpTlsSettings,
    topology::{ExchangeSettings, QueueSettings, TopologyMode},
};

/// The largest prefetch that is chosen by itself; above it nothing is gained.
const MAX_PREFETCH: u16 = 250;
/// The smallest one; below it the broker's round trip is felt.
const MIN_PREFETCH: u16 = 10;

/// The section `amqp` (`amqp_orders` for a framework named `orders`).
///
/// # Examples
/// ```
/// let settings = polyport_amqp::AmqpSettings { concurrency: 4, ..Default::default() };
/// assert_eq!(settings.prefetch(), 10);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Validate, Settings)]
#[serde(default)]
#[garde(allow_unvalidated)]
#[settings("amqp")]
#[settings(crate = polyport_bootstrap)]
pub struct AmqpSettings {
    /// Where the broker is: `amqp://user:password@host:5672/vhost`, the virtual host `/` written
    /// as `%2f` (the RabbitMQ URI specification). Not set by default: then the in-memory broker is
    /// started where the feature `embedded` is built in, except in environment `prod`.
    ///
    /// A list is the nodes of a cluster: each connection is made to the first one that lets us in,
    /// from a random one on. `amqps://` (port 5671 where none is named) is TLS, by `tls`;
    /// `?auth_mechanism=external` logs in by its client certificate.
    pub url: Option<BrokerUrls>,
    /// How TLS is spoken to nodes whose URL begins with `amqps://`.
    #[garde(dive)]
    pub tls: AmqpTlsSettings,
    /// What a broker that cannot be reached does to the start; default `fail`.
    pub start: StartMode,
    /// How long a start waits for the broker, where `start` is `wait`; shorter than `startup.bind`.
    /// Default 25 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(leaves_time))]
    pub start_timeout: Duration,
    /// How often both sides say that they live; a broker that is silent for twice as long is
    /// given up. Whole seconds; default 10 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(whole_seconds))]
    pub heartbeat: Duration,
    /// How long a connection may take to be made, login included; default 10 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(leaves_time))]
    pub connect_timeout: Duration,
    /// How many messages of one queue are handled at once; default 16.
    #[garde(range(min = 1))]
    pub concurrency: u16,
    /// How many messages of one queue the broker sends ahead; default twice the concurrency, at
    /// least 10 and at most 250.
    #[garde(range(min = 1))]
    pub prefetch: Option<u16>,
    /// How long an operation may take. Default 30 s. A message may ask for less, by the header
    /// `x-request-timeout-ms`, and with `reply_to` by its expiration.
    #[serde(with = "humantime_serde")]
    #[garde(custom(ends))]
    pub timeout: Duration,
    /// How long the broker lets a message be unanswered before it closes the channel: RabbitMQ's
    /// `consumer_timeout`. Default 30 min, as RabbitMQ has it. Operations have to end well before,
    /// and a message that waits too long for its turn goes back to its queue.
    #[serde(with = "humantime_serde")]
    #[garde(custom(leaves_time))]
    pub ack_timeout: Duration,
    /// What stands around a reply; default `plain`.
    pub envelope: EnvelopeStyle,
    /// What happens to messages whose handling failed and may succeed later.
    #[garde(dive)]
    pub retry: RetrySettings,
    /// What is otherwise for single consumers, by the queue that they consume from (or the exchange
    /// of those that are for each instance). It comes before what the code says.
    #[garde(dive)]
    pub consumers: BTreeMap<String, ConsumerSettings>,
    /// How messages are published.
    #[garde(dive)]
    pub publish: PublishSettings,
    /// How long a request waits for its reply, where neither it nor the call that it is made in
    /// waits less; default 10 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(leaves_time))]
    pub request_timeout: Duration,
    /// What it means for the process's readiness that the broker cannot be reached; default
    /// `required`.
    pub health: BrokerHealth,
    /// How often consumers are looked at that get nothing: one that gets nothing at two looks in a
    /// row, although messages wait in its queue, is reported and started again. `0s` never looks;
    /// default 30 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(ends))]
    pub watch_interval: Duration,
    /// The longest body that is published, in bytes; default 16 MiB, as RabbitMQ 4 has it.
    pub max_message_size: usize,
    /// What becomes of exchanges, queues and bindings at each connect: `declare`, `passive` (they
    /// are only looked for) or `none`; default `declare`.
    pub topology: TopologyMode,
    /// Exchanges that are declared besides those of modules, by name; default none.
    pub exchanges: BTreeMap<String, ExchangeSettings>,
    /// Queues that are declared besides those of modules, by name; default none.
    pub queues: BTreeMap<String, QueueSettings>,
}

impl Default for AmqpSettings {
    fn default() -> Self {
        Self {
            url: None,
            tls: AmqpTlsSettings::default(),
            start: StartMode::default(),
            start_timeout: Duration::from_secs(25),
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            concurrency: 16,
            prefetch: None,
            timeout: Duration::from_secs(30),
            ack_timeout: Duration::from_secs(30 * 60),
            envelope: EnvelopeStyle::default(),
            retry: RetrySettings::default(),
            consumers: BTreeMap::new(),
            publish: PublishSettings::default(),
            request_timeout: Duration::from_secs(10),
            health: BrokerHealth::default(),
            watch_interval: Duration::from_secs(30),
            max_message_size: 16 * 1024 * 1024,
            topology: TopologyMode::default(),
            exchanges: BTreeMap::new(),
            queues: BTreeMap::new(),
        }
    }
}

impl AmqpSettings {
    /// How many messages of one queue the broker sends ahead: as set, or made of the concurrency.
    #[must_use]
    pub fn prefetch(&self) -> u16 {
        let twice = self.concurrency.saturating_mul(2).clamp(MIN_PREFETCH, MAX_PREFETCH);
        self.prefetch.unwrap_or(twice)
    }
}

/// A heartbeat of 0 is none at all in AMQP.
fn whole_seconds(heartbeat: &Duration, _: &()) -> garde::Result {
    let advice = "it must be at least 1s";
    if heartbeat.as_secs() == 0 { Err(garde::Error::new(advice)) } else { Ok(()) }
}

/// The longest that anything waits: beyond it clocks overflow, and nobody means it.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(crate) fn leaves_time(limit: &Duration, _: &()) -> garde::Result {
    if limit.is_zero() {
        return Err(garde::Error::new("nothing can be done in no time at all"));
    }
    ends(limit, &())
}

fn ends(limit: &Duration, _: &()) -> garde::Result {
    let advice = "it must be at most a year (365d)";
    if *limit > LONGEST { Err(garde::Error::new(advice)) } else { Ok(()) }
}

impl From<AmqpSettings> for SettingsSource<AmqpSettings> {
    fn from(settings: AmqpSettings) -> Self {
        Self::Value(settings)
    }
}

/// What a broker that cannot be reached does to the process's readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BrokerHealth {
    /// Without it the process is not ready.
    #[default]
    Required,
    /// Without it the process is degraded, and ready all the same.
    Degraded,
}

/// What a broker that cannot be reached does to the start. One that refuses, by credentials,
/// virtual host, TLS or topology, fails it in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StartMode {
    /// The start fails at once.
    #[default]
    Fail,
    /// The start waits for the broker, and fails when `start_timeout` is over.
    Wait,
    /// The process starts and serves the rest; the broker is declared to, consumed from and
    /// published to when it comes. Until then it is missing from health, as during an outage.
    Degraded,
}

/// The section `amqp.retry`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct RetrySettings {
    /// How long a message waits before its second, third … attempt; after the last it is parked.
    /// Empty: it is parked at once. Each delay is a queue of its own, `<queue>.retry.<delay>`.
    /// Default `["1s", "5s", "30s"]`.
    #[serde(deserialize_with = "read_delays")]
    pub delays: Vec<Duration>,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self { delays: [1, 5, 30].map(Duration::from_secs).to_vec() }
    }
}

/// The section `amqp.consumers."<queue>"`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct ConsumerSettings {
    /// How many messages are handled at once.
    #[garde(range(min = 1))]
    pub concurrency: Option<u16>,
    /// How many messages the broker sends ahead.
    #[garde(range(min = 1))]
    pub prefetch: Option<u16>,
    /// How long the operation may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Option<Duration>,
    /// What happens to messages whose handling failed and may succeed later.
    #[garde(dive)]
    pub retry: Option<RetrySettings>,
    /// Whether one instance of the application consumes at a time.
    pub one_instance: Option<bool>,
}

fn read_delays<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    let delays = Vec::<Serde<Duration>>::deserialize(deserializer)?;
    Ok(delays.into_iter().map(Serde::into_inner).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<AmqpSettings, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn delays_are_written_as_people_write_them() {
        let settings = read(json!({ "retry": { "delays": ["50ms", "2m"] } })).expect("fits");
        let expected = [Duration::from_millis(50), Duration::from_secs(120)];
        assert_eq!(settings.retry.delays, expected);
    }

    #[test]
    fn a_malformed_delay_is_refused() {
        assert!(read(json!({ "retry": { "delays": ["soon"] } })).is_err());
    }

    #[test]
    fn the_prefetch_follows_the_concurrency_within_bounds() {
        let of = |concurrency| AmqpSettings { concurrency, ..Default::default() }.prefetch();
        assert_eq!([of(1), of(16), of(100), of(u16::MAX)], [10, 32, 200, 250]);
        let set = AmqpSettings { prefetch: Some(3), ..Default::default() };
        assert_eq!(set.prefetch(), 3);
    }

    #[test]
    fn zeros_are_refused_by_name() {
        let settings = AmqpSettings { prefetch: Some(0), concurrency: 0, ..Default::default() };
        let report = settings.validate().expect_err("two zeros").to_string();
        assert!(report.contains("prefetch: ") && report.contains("concurrency: "), "{report}");
        AmqpSettings::default().validate().expect("the defaults fit");
    }

    #[test]
    fn times_that_no_clock_can_hold_are_refused_by_name() {
        let (long, publish) = (Duration::MAX, PublishSettings::default());
        let settings = AmqpSettings {
            start_timeout: long,
            connect_timeout: long,
            timeout: long,
            ack_timeout: long,
            request_timeout: long,
            watch_interval: long,
            publish: PublishSettings { timeout: long, ..publish },
            ..Default::default()
        };
        let report = settings.validate().expect_err("too long").to_string();
        for key in [
            "start_timeout",
            "connect_timeout",
            "timeout",
            "ack_timeout",
            "request_timeout",
            "watch_interval",
            "publish.timeout",
        ] {
            let found = report.lines().any(|line| line.starts_with(&format!("{key}: ")));
            assert!(found, "{key} is not in {report}");
        }
    }

    #[test]
    fn debug_does_not_show_the_password() {
        let url = Some("amqp://tom:hunter2@localhost".into());
        let shown = format!("{:?}", AmqpSettings { url, ..Default::default() });
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
