//! `rate-limit`: calls that come too fast are refused, by whom they come from.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use garde::Validate;
use http::HeaderName;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tokio::time::Instant;

use super::ForAll;
use crate::operation::{
    Band, Context, Exposure, Fault, Interceptor, Next, OperationInfo, PeerAddr, Pipeline, Reply,
};

/// The section `middleware.rate-limit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct RateLimitOptions {
    /// How many calls each of them has in the time `per`, over all operations; default as many as come.
    #[garde(inner(range(min = 1)))]
    pub calls: Option<u32>,
    /// The time that `calls` is for; default 1 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(is_not_zero))]
    pub per: Duration,
    /// How many calls may come at once after a pause; default as many as `calls`.
    #[garde(inner(range(min = 1)), custom(has_rate(self.calls)))]
    pub burst: Option<u32>,
    /// What calls are counted by; default `peer`.
    pub by: RateLimitBy,
    /// How many of those are remembered; default 10,000, which takes about 400 kB. Of more than
    /// these the one that has called least is forgotten.
    #[garde(range(min = 16))]
    pub remember: usize,
}

impl Default for RateLimitOptions {
    fn default() -> Self {
        Self {
            calls: None,
            per: Duration::from_secs(1),
            burst: None,
            by: RateLimitBy::Peer,
            remember: 10_000,
        }
    }
}

fn has_rate(calls: Option<u32>) -> impl FnOnce(&Option<u32>, &()) -> garde::Result {
    move |burst, ()| match burst.is_some() && calls.is_none() {
        true => Err(garde::Error::new("without calls nothing is limited")),
        false => Ok(()),
    }
}

fn is_not_zero(per: &Duration, (): &()) -> garde::Result {
    match per.is_zero() {
        true => Err(garde::Error::new("nothing comes in no time")),
        false => Ok(()),
    }
}

/// What calls are counted by. Those that lack it are counted together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateLimitBy {
    /// `all`: all calls together.
    All,
    /// `peer`: the peer's IP address ([`PeerAddr`]), of IPv6 the first 64 bits, since whoever has
    /// one such address has all of its network; messages of a broker have none.
    #[default]
    Peer,
    /// `header:x-api-key`: the value of a header, or of what stands for headers.
    Header(HeaderName),
}

impl Serialize for RateLimitBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Peer => serializer.serialize_str("peer"),
            Self::Header(name) => serializer.collect_str(&format_args!("header:{name}")),
        }
    }
}

impl<'de> Deserialize<'de> for RateLimitBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match (text.as_str(), text.strip_prefix("header:").map(HeaderName::from_str)) {
            ("all", _) => Ok(Self::All),
            ("peer", _) => Ok(Self::Peer),
            (_, Some(Ok(name))) => Ok(Self::Header(name)),
            _ => Err(D::Error::custom("expected all, peer or header:<name>")),
        }
    }
}

/// An attribute: how many calls each caller has of this operation on each of its routes, whatever
/// `middleware.rate-limit.calls` says.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use polyport_bootstrap::{Fault, middleware::RateLimit, operation::{Operation, OperationExt}};
///
/// async fn log_in() -> Result<(), Fault> {
///     Ok(())
/// }
///
/// let operation = log_in.attr(RateLimit::new(5, Duration::from_secs(60)));
/// # fn is<M>(_: impl Operation<M>) {}
/// # is(operation);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    calls: u32,
    per: Duration,
    burst: u32,
}

impl RateLimit {
    /// So many calls in this time, all of them at once where they like.
    ///
    /// # Panics
    /// Panics where no call at all, or no time, is given.
    #[must_use]
    pub const fn new(calls: u32, per: Duration) -> Self {
        assert!(calls > 0 && !per.is_zero(), "a rate is some calls in some time");
        Self { calls, per, burst: calls }
    }

    /// Sets how many may come at once after a pause.
    ///
    /// # Panics
    /// Panics where none may.
    #[must_use]
    pub const fn burst(mut self, burst: u32) -> Self {
        assert!(burst > 0, "one call at least has to be let in");
        self.burst = burst;
        self
    }
}

pub(super) fn add(pipeline: Pipeline) -> Pipeline {
    let all = ForAll::default();
    let make = move |options: &RateLimitOptions, exposure: &Exposure| {
        let buckets = buckets(options, exposure.operation(), &all)?;
        Some(Limited { buckets, by: options.by.clone() })
    };
    pipeline.middleware_for("rate-limit", Band::Core, true, make)
}

fn buckets(
    options: &RateLimitOptions,
    operation: &OperationInfo,
    all: &ForAll<Buckets>,
) -> Option<Arc<Buckets>> {
    if let Some(own) = operation.attribute::<RateLimit>() {
        return Some(Arc::new(Buckets::new(*own, options.remember)));
    }
    let calls = options.calls?;
    let rate = RateLimit { calls, per: options.per, burst: options.burst.unwrap_or(calls) };
    Some(all.get_or_make(|| Buckets::new(rate, options.remember)))
}

struct Limited {
    buckets: Arc<Buckets>,
    by: RateLimitBy,
}

impl Limited {
    fn take(&self, context: &Context) -> Result<(), Duration> {
        match &self.by {
            RateLimitBy::All => self.buckets.take(()),
            RateLimitBy::Peer => {
                let peer = context.extension::<PeerAddr>();
                self.buckets.take(peer.map(|PeerAddr(address)| network(address.ip())))
            }
            RateLimitBy::Header(name) => self.buckets.take(context.metadata.get(name)),
        }
    }
}

/// What one peer can call from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64))),
        v4 => v4,
    }
}

#[async_trait]
impl Interceptor for Limited {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        match self.take(context) {
            Ok(()) => next.run(context).await,
            Err(wait) => {
                let fault = Fault::resource_exhausted("RATE_LIMITED", "calls come too fast");
                Err(fault.with_retry_after(wait))
            }
        }
    }
}

/// How many keys are counted under one lock.
const SHARDS: usize = 16;

/// A token bucket for each key, each a single time: when it is full again (the generic cell rate
/// algorithm, ITU-T I.371).
struct Buckets {
    /// How long a token takes to come back, and how far ahead of time a key may be, in ns.
    interval: u64,
    tolerance: u64,
    begun: Instant,
    hasher: RandomState,
    shards: [Mutex<HashMap<u64, u64>>; SHARDS],
    max_in_shard: usize,
}

impl Buckets {
    fn new(rate: RateLimit, remember: usize) -> Self {
        let interval = nanoseconds(rate.per / rate.calls).max(1);
        Self {
            interval,
            tolerance: interval.saturating_mul(u64::from(rate.burst) - 1),
            begun: Instant::now(),
            hasher: RandomState::new(),
            shards: Default::default(),
            max_in_shard: (remember / SHARDS).max(1),
        }
    }

    /// Takes a token, or says how long it takes until there is one.
    fn take(&self, key: impl std::hash::Hash) -> Result<(), Duration> {
        // Of two keys of one hash, which nobody can bring about, both would be limited together.
        let hash = self.hasher.hash_one(key);
        let now = nanoseconds(self.begun.elapsed());
        let shard = &self.shards[usize::try_from(hash >> 60).unwrap_or_default() % SHARDS];
        let mut full_at = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = full_at.get(&hash).map_or(0, |at| at.saturating_sub(now));
        if let Some(wait) = ahead.checked_sub(self.tolerance).filter(|wait| *wait > 0) {
            return Err(Duration::from_nanos(wait));
        }
        if full_at.len() >= self.max_in_shard && !full_at.contains_key(&hash) {
            make_room(&mut full_at, now, self.max_in_shard);
        }
        full_at.insert(hash, now.saturating_add(ahead).saturating_add(self.interval));
        Ok(())
    }
}

/// Forgets the keys whose buckets are full, and where that is none, the one that is next.
fn make_room(full_at: &mut HashMap<u64, u64>, now: u64, max: usize) {
    full_at.retain(|_, at| *at > now);
    if full_at.len() < max {
        return;
    }
    let next = full_at.iter().min_by_key(|(_, at)| **at).map(|(hash, _)| *hash);
    if let Some(hash) = next {
        full_at.remove(&hash);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_a_burst_and_then_its_rate() {
        let buckets = Buckets::new(RateLimit::new(10, Duration::from_secs(1)).burst(3), 100);
        let passes = |key| buckets.take(key).is_ok();
        assert_eq!([1, 1, 1, 1].map(passes), [true, true, true, false]);
        assert!(passes(2), "another key has a bucket of its own");
        assert_eq!(buckets.take(1), Err(Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!([1, 1].map(passes), [true, false]);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!([1, 1, 1, 1].map(passes), [true, true, true, false], "it is full, not more");
    }

    #[test]
    fn a_peer_is_counted_by_the_network_that_it_can_call_from() {
        let of = |text: &str| network(text.parse().expect("an address")).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_keys_takes_no_more_memory_and_does_not_free_who_calls_most() {
        let buckets = Buckets::new(RateLimit::new(2, Duration::from_secs(3600)), 160);
        assert_eq!(["greedy"; 3].map(|key| buckets.take(key).is_ok()), [true, true, false]);
        for key in 0..10_000 {
            buckets.take(key).ok();
        }
        let known = buckets.shards.iter().map(|shard| shard.lock().unwrap().len()).sum::<usize>();
        assert!(known <= 160, "{known}");
        assert!(buckets.take("greedy").is_err());
    }
}
