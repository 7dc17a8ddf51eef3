use std::fmt;

use uuid::Uuid;

use super::{Carrier, TraceState};

const PARENT: &str = "traceparent";

/// Whether the caller may have recorded this.
const SAMPLED: u8 = 0b01;
/// Whether at least the last seven bytes of the trace id are random.
const RANDOM: u8 = 0b10;
/// The flags that have a meaning; others are not passed on.
const KNOWN: u8 = SAMPLED | RANDOM;

/// How long a header of version 00 is.
const LENGTH: usize = 55;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $length:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Hash)]
            pub struct $name([u8; $length]);

            impl $name {
                /// The id of these bytes; all zeros are none.
                #[must_use]
                pub fn from_bytes(bytes: [u8; $length]) -> Option<Self> {
                    (bytes != [0; $length]).then_some(Self(bytes))
                }

                /// The bytes.
                #[must_use]
                pub fn to_bytes(self) -> [u8; $length] {
                    self.0
                }

                fn parse(text: &[u8]) -> Option<Self> {
                    let mut bytes = [0; $length];
                    let pairs = text.as_chunks::<2>();
                    if pairs.0.len() != $length || !pairs.1.is_empty() {
                        return None;
                    }
                    for (byte, pair) in bytes.iter_mut().zip(pairs.0) {
                        *byte = hex(*pair)?;
                    }
                    Self::from_bytes(bytes)
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(self, f)
                }
            }
        )*
    };
}

ids! {
    /// What all spans of one trace share; written as 32 hexadecimal digits.
    TraceId, 16;
    /// What one span of a trace is known by (the standard's `parent-id`); written as 16
    /// hexadecimal digits.
    SpanId, 8;
}

impl SpanId {
    fn random() -> Self {
        let random = Uuid::new_v4().into_bytes();
        let mut bytes = [0; 8];
        // The bytes of a UUIDv4 that are random in all bits (RFC 9562, section 5.4).
        bytes.copy_from_slice(&random[8..]);
        bytes[0] = random[0];
        Self::from_bytes(bytes).unwrap_or(Self([1; 8]))
    }
}

/// Where a call stands in a distributed trace: the W3C Trace Context, level 2.
///
/// # Examples
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use polyport_bootstrap::operation::trace::TraceContext;
///
/// let mut headers = HeaderMap::new();
/// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// headers.insert("traceparent", HeaderValue::from_static(parent));
/// let caller = TraceContext::extract(&headers).unwrap();
/// assert!(caller.is_sampled());
///
/// let mut outgoing = HeaderMap::new();
/// let ours = caller.child();
/// ours.inject(&mut outgoing);
/// assert_eq!(ours.trace_id(), caller.trace_id());
/// assert_ne!(ours.span_id(), caller.span_id());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: u8,
    state: TraceState,
}

impl TraceContext {
    /// A span of this trace.
    #[must_use]
    pub fn new(trace_id: TraceId, span_id: SpanId, is_sampled: bool) -> Self {
        let flags = if is_sampled { SAMPLED } else { 0 };
        Self { trace_id, span_id, flags, state: TraceState::default() }
    }

    /// The first span of a new trace, with random ids. `is_sampled` tells whoever is called to
    /// record it too.
    #[must_use]
    pub fn root(is_sampled: bool) -> Self {
        // Of a UUIDv4 the last seven bytes are random, as the flag promises, and it is never zero.
        let trace_id = TraceId(Uuid::new_v4().into_bytes());
        let mut root = Self::new(trace_id, SpanId::random(), is_sampled);
        root.flags |= RANDOM;
        root
    }

    /// A new span of the same trace, as whose parent this one stands.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: SpanId::random(), ..self.clone() }
    }

    /// Reads what a caller has sent. There is none where `traceparent` is missing, malformed or
    /// there twice; a malformed `tracestate` is passed over.
    #[must_use]
    pub fn extract(carrier: &dyn Carrier) -> Option<Self> {
        let parent = match carrier.get_all(PARENT).as_slice() {
            [parent] => Self::parse(parent)?,
            _ => return None,
        };
        Some(Self { state: TraceState::extract(carrier), ..parent })
    }

    /// Writes it for whoever is called, in place of what stands there.
    pub fn inject(&self, carrier: &mut dyn Carrier) {
        carrier.set(PARENT, &self.to_string());
        self.state.inject(carrier);
    }

    /// Reads a `traceparent` of any version but `ff`; of a later one the four fields that version
    /// 00 has.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let text = traceparent.trim_matches([' ', '\t']).as_bytes();
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let version = hex([known[0], known[1]]).filter(|version| *version != 0xff)?;
        let is_whole = match version {
            0 => rest.is_empty(),
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        let is_separated = [2, 35, 52].into_iter().all(|place| known[place] == b'-');
        if !is_whole || !is_separated {
            return None;
        }
        Some(Self {
            trace_id: TraceId::parse(&known[3..35])?,
            span_id: SpanId::parse(&known[36..52])?,
            flags: hex([known[53], known[54]])? & KNOWN,
            state: TraceState::default(),
        })
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span: of what was extracted the caller's.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// Whether the caller may have recorded it, and wants it recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Whether the trace id is random, so that samplers may decide by its last seven bytes.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.flags & RANDOM != 0
    }

    /// Says whether it is recorded.
    #[must_use]
    pub fn with_sampled(mut self, is_sampled: bool) -> Self {
        self.flags = (self.flags & !SAMPLED) | if is_sampled { SAMPLED } else { 0 };
        self
    }

    /// What tracing systems add for themselves.
    #[must_use]
    pub fn state(&self) -> &TraceState {
        &self.state
    }

    /// The same, to be changed.
    pub fn state_mut(&mut self) -> &mut TraceState {
        &mut self.state
    }
}

/// The `traceparent`, of version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// Two digits in lower case.
fn hex([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const PARENT_00: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parsed(text: &str) -> Option<String> {
        TraceContext::parse(text).map(|context| context.to_string())
    }

    #[test]
    fn a_parent_is_read_as_the_standard_has_it() {
        assert_eq!(parsed(PARENT_00).as_deref(), Some(PARENT_00));
        assert_eq!(parsed(&format!(" \t{PARENT_00} ")).as_deref(), Some(PARENT_00));
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn of_later_versions_the_fields_that_are_known_are_read() {
        let later = |rest: &str| parsed(&PARENT_00.replacen("00-", "cc-", 1).replace("-01", rest));
        assert_eq!(later("-01").as_deref(), Some(PARENT_00));
        assert_eq!(later("-01-what-the-future-will-be-like").as_deref(), Some(PARENT_00));
        assert_eq!(later("-01.what"), None);
    }

    #[test]
    fn only_flags_that_have_a_meaning_are_passed_on() {
        let context = TraceContext::parse(&PARENT_00.replace("-01", "-fe")).expect("a parent");
        assert!(!context.is_sampled() && context.is_random());
        assert!(context.to_string().ends_with("-02"));
        assert!(context.with_sampled(true).to_string().ends_with("-03"));
    }

    #[test]
    fn two_parents_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(PARENT, HeaderValue::from_static(PARENT_00));
        headers.append("tracestate", HeaderValue::from_static("a=1"));
        assert_eq!(TraceContext::extract(&headers).expect("one").state().get("a"), Some("1"));
        headers.append(PARENT, HeaderValue::from_static(PARENT_00));
        assert_eq!(TraceContext::extract(&headers), None);
    }

    #[test]
    fn a_new_trace_is_random_and_a_child_stays_in_it() {
        let (root, other) = (TraceContext::root(true), TraceContext::root(false));
        assert_ne!(root.trace_id(), other.trace_id());
        assert!(root.is_sampled() && root.is_random() && !other.is_sampled());
        let child = root.child();
        assert_eq!((child.trace_id(), child.flags), (root.trace_id(), root.flags));
        assert_ne!(child.span_id(), root.span_id());
    }

    #[test]
    fn what_stood_in_the_carrier_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.append(PARENT, HeaderValue::from_static(PARENT_00));
        headers.append(PARENT, HeaderValue::from_static(PARENT_00));
        headers.append("tracestate", HeaderValue::from_static("a=1"));
        let root = TraceContext::root(true);
        root.inject(&mut headers);
        assert_eq!(TraceContext::extract(&headers), Some(root));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            trace in any::<[u8; 16]>(),
            span in any::<[u8; 8]>(),
            flags in 0..4_u8,
        ) {
            let ids = (TraceId::from_bytes(trace), SpanId::from_bytes(span));
            let (Some(trace_id), Some(span_id)) = ids else { return Ok(()) };
            let context =
                TraceContext { trace_id, span_id, flags, state: TraceState::default() };
            prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
        }

        #[test]
        fn nothing_like_a_parent_does_harm(text in "[0-9a-f]{1,3}-[0-9a-fäF]{30,34}-[0-9a-f]{14,18}-.{0,9}") {
            let _ = TraceContext::parse(&text);
        }
    }
}
