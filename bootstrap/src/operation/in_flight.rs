//! The calls in flight: which, how many, and since when.
//!
//! A call costs two atomic operations on a cache line that other threads seldom touch, and one
//! look at the clock: 46 ns of processor time, 30 of them the clock's, on one thread and on two at
//! once. There is no lock, and no allocation but where more calls are in flight than ever before.

use std::{
    array, fmt,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{ActiveOperation, Exposure};
#[cfg(any(test, feature = "testing"))]
use crate::framework::Leftover;
use crate::framework::{Mark, Witness};

/// How many parts the register is in; a thread uses one of them.
const SHARDS: usize = 16;
/// How many calls fit in a piece of a part.
const SLOTS: usize = 64;
/// A slot's word: the operation's number from one on, whether its request is still being read, and
/// the milliseconds at which it began.
const NUMBER_SHIFT: u32 = 44;
const READING: u64 = 1 << 43;
const MILLIS: u64 = READING - 1;

/// The register of all calls in flight of one bootstrap. A cheap handle.
#[derive(Clone, Default)]
pub(crate) struct InFlight(Arc<State>);

struct State {
    began: Instant,
    shards: [Shard; SHARDS],
    names: RwLock<Vec<Name>>,
    /// Whether anybody wants to know when the last call ended.
    watched: AtomicBool,
    last_end: AtomicU64,
    #[cfg_attr(not(feature = "testing"), allow(dead_code, reason = "only tests are told"))]
    witness: Witness,
}

/// What the number of an operation stands for.
struct Name {
    protocol: &'static str,
    framework: String,
    operation: Box<str>,
    route: String,
}

/// On cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Shard(Piece);

struct Piece {
    taken: AtomicU64,
    slots: [AtomicU64; SLOTS],
    next: OnceLock<Box<Piece>>,
}

impl Default for Piece {
    fn default() -> Self {
        let slots = array::from_fn(|_| AtomicU64::new(0));
        Self { taken: AtomicU64::new(0), slots, next: OnceLock::new() }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            shards: array::from_fn(|_| Shard::default()),
            names: RwLock::default(),
            watched: AtomicBool::new(false),
            last_end: AtomicU64::new(0),
            witness: Witness::default(),
        }
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InFlight")
    }
}

impl InFlight {
    /// A register that also tells a test of the calls.
    pub(super) fn watched_by(witness: Witness) -> Self {
        Self(Arc::new(State { witness, ..State::default() }))
    }

    /// Lets the calls of an operation by one route be counted.
    pub(super) fn track(&self, exposure: &Exposure) {
        let mut names = self.0.names.write().unwrap_or_else(PoisonError::into_inner);
        names.push(Name {
            protocol: exposure.protocol.as_str(),
            framework: exposure.framework.clone(),
            operation: exposure.operation().name().into(),
            route: exposure.route.clone(),
        });
        let number = names.len() as u64;
        exposure.operation().track(Tracked { in_flight: self.clone(), number });
    }

    /// What a framework, by its kind and name, is working on; the oldest first.
    pub(crate) fn of(&self, kind: &str, framework: &str) -> Vec<ActiveOperation> {
        let (names, now) =
            (self.0.names.read().unwrap_or_else(PoisonError::into_inner), self.now());
        let mut found: Vec<(usize, ActiveOperation)> = Vec::new();
        for word in self.words() {
            let number = (word >> NUMBER_SHIFT) as usize - 1;
            let Some(name) = names.get(number) else { continue };
            if name.protocol != kind || name.framework != framework {
                continue;
            }
            let known = found.iter().position(|(known, _)| *known == number);
            let place = known.unwrap_or_else(|| {
                found.push((number, name.idle()));
                found.len() - 1
            });
            found[place].1.count(word, now);
        }
        let mut active: Vec<_> = found.into_iter().map(|(_, active)| active).collect();
        active.sort_by_key(|active| std::cmp::Reverse(active.oldest));
        active
    }

    /// From now on the end of each call is noted; this moment counts as one.
    pub(crate) fn watch(&self) {
        self.0.last_end.fetch_max(self.now(), SeqCst);
        self.0.watched.store(true, SeqCst);
    }

    /// How long ago the last call ended.
    pub(crate) fn since_last_end(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.0.last_end.load(SeqCst)))
    }

    /// Milliseconds since the register was made.
    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.0.began).as_millis() as u64 & MILLIS
    }

    fn words(&self) -> Vec<u64> {
        let mut words = Vec::new();
        for shard in &self.0.shards {
            let mut piece = Some(&shard.0);
            while let Some(here) = piece {
                words.extend(here.slots.iter().map(|slot| slot.load(SeqCst)).filter(|w| *w != 0));
                piece = here.next.get().map(|next| &**next);
            }
        }
        words
    }
}

impl Name {
    fn idle(&self) -> ActiveOperation {
        ActiveOperation {
            operation: self.operation.to_string(),
            route: self.route.clone(),
            calls: 0,
            reading: 0,
            oldest: Duration::ZERO,
        }
    }
}

impl ActiveOperation {
    fn count(&mut self, word: u64, now: u64) {
        self.calls += 1;
        self.reading += usize::from(word & READING != 0);
        let age = Duration::from_millis(now.saturating_sub(word & MILLIS));
        self.oldest = self.oldest.max(age);
    }
}

/// What a test is told of the operation.
#[cfg(any(test, feature = "testing"))]
impl Tracked {
    pub(super) fn witness(&self) -> &Witness {
        &self.in_flight.0.witness
    }

    /// The kind of the framework, and the route.
    pub(super) fn place(&self) -> (&'static str, String) {
        let names = self.in_flight.0.names.read().unwrap_or_else(PoisonError::into_inner);
        let name = &names[self.number as usize - 1];
        (name.protocol, name.route.clone())
    }

    fn title(&self) -> String {
        let names = self.in_flight.0.names.read().unwrap_or_else(PoisonError::into_inner);
        let Name { protocol, operation, route, .. } = &names[self.number as usize - 1];
        format!("{operation} ({} {route})", protocol.to_uppercase())
    }

    fn mark(&self) -> Mark {
        self.witness().mark(Leftover::Call, || self.title())
    }
}

#[cfg(not(any(test, feature = "testing")))]
impl Tracked {
    fn mark(&self) -> Mark {
        Mark::default()
    }
}

/// Where the calls of one operation by one route are counted.
#[derive(Debug, Clone)]
pub(super) struct Tracked {
    in_flight: InFlight,
    number: u64,
}

impl Tracked {
    pub(super) fn enter(&self, began: Instant) -> Flight<'_> {
        self.register(0, began)
    }

    pub(super) fn enter_reading(&self, began: Instant) -> Flight<'_> {
        self.register(READING, began)
    }

    fn register(&self, flag: u64, began: Instant) -> Flight<'_> {
        let state = &*self.in_flight.0;
        let word = self.number << NUMBER_SHIFT | flag | self.in_flight.at(began);
        let mut piece = &state.shards[shard_of_this_thread()].0;
        loop {
            if let Some(slot) = piece.take() {
                piece.slots[slot].store(word, Relaxed);
                return Flight { in_flight: &self.in_flight, piece, slot, _mark: self.mark() };
            }
            piece = piece.next.get_or_init(Box::default);
        }
    }
}

impl Piece {
    /// A slot that is free, if there is one.
    fn take(&self) -> Option<usize> {
        let mut taken = self.taken.load(Relaxed);
        while taken != u64::MAX {
            let free = (!taken).trailing_zeros();
            match self.taken.compare_exchange_weak(taken, taken | 1 << free, SeqCst, Relaxed) {
                Ok(_) => return Some(free as usize),
                Err(now) => taken = now,
            }
        }
        None
    }
}

/// A call in flight, until this is dropped, in whatever way.
#[must_use = "a call is in flight as long as this is held"]
pub struct Flight<'a> {
    in_flight: &'a InFlight,
    piece: &'a Piece,
    slot: usize,
    _mark: Mark,
}

impl Flight<'_> {
    /// The request is read to its end.
    pub fn read(&self) {
        let slot = &self.piece.slots[self.slot];
        slot.store(slot.load(Relaxed) & !READING, Relaxed);
    }
}

impl fmt::Debug for Flight<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flight")
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.piece.slots[self.slot].store(0, Relaxed);
        self.piece.taken.fetch_and(!(1 << self.slot), SeqCst);
        let state = &self.in_flight.0;
        if state.watched.load(Relaxed) {
            state.last_end.fetch_max(self.in_flight.now(), SeqCst);
        }
    }
}

/// The part that this thread uses: the place of its own data in memory tells threads apart.
fn shard_of_this_thread() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    let address = HERE.with(|here| std::ptr::from_ref(here).addr()) as u64;
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Endpoint, Fault, Protocol, sentence};

    async fn work() -> Result<(), Fault> {
        Ok(())
    }

    fn exposure(framework: &str, route: &str) -> Exposure {
        Exposure {
            protocol: Protocol::new("http"),
            framework: framework.to_owned(),
            route: route.to_owned(),
            module: "m".to_owned(),
            endpoint: Endpoint::json(work),
        }
    }

    #[test]
    fn calls_are_counted_by_operation_and_framework_until_they_end() {
        let in_flight = InFlight::default();
        let [a, b] = [exposure("default", "GET /a"), exposure("admin", "GET /b")];
        in_flight.track(&a);
        in_flight.track(&b);
        let reading = a.operation().enter_reading(Instant::now());
        let second = a.operation().enter();
        let other = b.operation().enter();

        let active = in_flight.of("http", "default");
        assert_eq!(active.len(), 1);
        assert_eq!((active[0].calls, active[0].reading), (2, 1));
        assert_eq!((&*active[0].operation, &*active[0].route), ("work", "GET /a"));
        assert!(
            sentence(&active).ends_with("the client of 1 does not finish its request"),
            "{}",
            sentence(&active)
        );
        assert_eq!(in_flight.of("http", "admin").len(), 1);
        assert!(in_flight.of("grpc", "default").is_empty());

        if let Some(flight) = &reading {
            flight.read();
        }
        assert_eq!(in_flight.of("http", "default")[0].reading, 0);
        drop((reading, second, other));
        assert!(in_flight.words().is_empty());
    }

    #[test]
    fn there_is_room_for_any_number_at_once_from_any_thread() {
        let in_flight = InFlight::default();
        let exposure = exposure("default", "GET /a");
        in_flight.track(&exposure);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let flights: Vec<_> =
                            (0..300).map(|_| exposure.operation().enter()).collect();
                        assert!(in_flight.of("http", "default")[0].calls >= 300);
                        drop(flights);
                    }
                });
            }
        });
        assert!(in_flight.words().is_empty());
    }

    #[test]
    fn what_nobody_serves_is_not_counted() {
        assert!(exposure("default", "GET /a").operation().enter().is_none());
    }
}
