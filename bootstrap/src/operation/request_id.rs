//! What a call is known by.

use std::{
    cell::Cell,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;
use uuid::{Builder, fmt::Hyphenated};

/// The longest request id that is taken from a peer, in bytes.
const MAX_PEER_ID: usize = 128;

/// How long a look at the system's clock holds.
const ONE_LOOK: Duration = Duration::from_secs(1);

const NANOS_PER_MILLI: u32 = 1_000_000;

/// What one call is known by, in every log line and answer: taken from the peer, or a new UUIDv7
/// (RFC 9562).
#[derive(Clone)]
pub struct RequestId(Text);

#[derive(Clone)]
enum Text {
    Own(Own),
    Peer(Arc<str>),
}

/// Aligned, since it is then found to be UTF-8 eight bytes at a time.
#[derive(Clone)]
#[repr(align(8))]
struct Own([u8; Hyphenated::LENGTH]);

impl RequestId {
    /// A new id. It costs neither a lock nor a system call. Ids sort by when they were made (RFC
    /// 9562, section 6.2, method 3), those of other threads and processes as well as clocks agree. They are no secrets: whoever has
    /// seen some can tell the next.
    #[must_use]
    pub fn new() -> Self {
        Self::at(Instant::now())
    }

    fn at(now: Instant) -> Self {
        let since = wall_clock(now);
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&fraction(since).to_be_bytes());
        bytes[2..].copy_from_slice(&random().to_ne_bytes());
        let id = Builder::from_unix_timestamp_millis(since.as_millis() as u64, &bytes).into_uuid();
        let mut text = Own([0; Hyphenated::LENGTH]);
        id.hyphenated().encode_lower(&mut text.0);
        Self(Text::Own(text))
    }

    /// The id that a peer sent, or a new one where that is missing, longer than 128 bytes, or
    /// holds anything but visible ASCII (it ends up in logs and headers).
    #[must_use]
    pub fn from_peer(id: Option<&str>) -> Self {
        Self::from_peer_at(Instant::now(), id)
    }

    /// The same for a caller that has looked at the clock already.
    #[must_use]
    pub fn from_peer_at(now: Instant, id: Option<&str>) -> Self {
        match id {
            Some(id) if is_acceptable(id) => Self(Text::Peer(id.into())),
            _ => Self::at(now),
        }
    }

    /// The id that a test gives; none where it would not be [taken from a peer](Self::from_peer).
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn given(id: &str) -> Option<Self> {
        is_acceptable(id).then(|| Self::from_peer(Some(id)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Own(Own(text)) => std::str::from_utf8(text).unwrap_or_default(),
            Text::Peer(text) => text,
        }
    }

    /// The same as bytes, which are visible ASCII: what headers take.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Own(Own(text)) => text,
            Text::Peer(text) => text.as_bytes(),
        }
    }
}

fn is_acceptable(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_PEER_ID && id.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The time since 1970 at a moment. The system's clock is asked once a second only: two looks at
/// clocks for each call would be one too many.
fn wall_clock(now: Instant) -> Duration {
    thread_local! {
        static KNOWN: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    }
    if let Some((then, since)) = KNOWN.get() {
        match now.checked_duration_since(then) {
            Some(passed) if passed < ONE_LOOK => return since + passed,
            _ => {}
        }
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let look = Instant::now();
    KNOWN.set(Some((look, since)));
    since.saturating_sub(look.saturating_duration_since(now))
}

/// What is left of the last millisecond, in 4096ths.
fn fraction(since: Duration) -> u16 {
    (u64::from(since.subsec_nanos() % NANOS_PER_MILLI) * 4096 / u64::from(NANOS_PER_MILLI)) as u16
}

/// SplitMix64 (Steele, Lea and Flood, 2014), which gives a thread no number twice. Each thread
/// begins at one of the system's random numbers, and asks for no more of them, since a call would
/// be some hundred nanoseconds slower for each.
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
    }
    let state = STATE.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    STATE.set(state);
    let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::{Uuid, Variant};

    use super::*;

    #[test]
    fn a_peers_id_is_taken_only_if_it_is_harmless() {
        assert_eq!(RequestId::from_peer(Some("abc-1")).as_str(), "abc-1");
        for id in [None, Some(""), Some("a b"), Some("a\nb"), Some("ä"), Some(&"x".repeat(129))] {
            assert_eq!(RequestId::from_peer(id).as_str().len(), 36);
        }
    }

    #[test]
    fn the_fraction_of_a_millisecond_has_twelve_bits() {
        let of = |nanos| fraction(Duration::from_nanos(nanos));
        assert_eq!([of(0), of(500_000), of(999_999), of(1_000_000)], [0, 2048, 4095, 0]);
    }

    #[test]
    fn new_ids_differ_whichever_thread_makes_them() {
        let ids = || (0..1000).map(|_| RequestId::new().to_string()).collect::<Vec<_>>();
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads = [scope.spawn(ids), scope.spawn(ids), scope.spawn(ids)];
            threads.into_iter().flat_map(|thread| thread.join().expect("ends")).collect()
        });
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn a_new_id_is_a_uuid_of_version_7_that_tells_its_time() {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("is later").as_secs();
        let id = Uuid::parse_str(RequestId::new().as_str()).expect("a UUID");
        assert_eq!((id.get_version_num(), id.get_variant()), (7, Variant::RFC4122));
        let (seconds, _) = id.get_timestamp().expect("has a time").to_unix();
        assert!((before..before + 60).contains(&seconds), "{seconds}");
    }
}
