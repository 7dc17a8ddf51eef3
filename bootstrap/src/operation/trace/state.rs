use std::fmt;

use super::Carrier;

const STATE: &str = "tracestate";

/// How many members a list may have.
const MAX_MEMBERS: usize = 32;
/// How long a key and a value may be, in bytes.
const MAX_TEXT: usize = 256;
/// How much is passed on at least, in bytes (section 3.3.1.5); members that do not fit are left
/// out, those longer than [`LONG_MEMBER`] first.
const MAX_LENGTH: usize = 512;
const LONG_MEMBER: usize = 128;

/// What tracing systems add to a trace for themselves: the list `vendor=value,…`, the newest first.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::trace::TraceState;
///
/// let mut state = TraceState::parse(["congo=t61,rojo=00f"]).unwrap();
/// assert!(state.insert("rojo", "1"));
/// assert_eq!(state.to_string(), "rojo=1,congo=t61");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceState(Vec<(Box<str>, Box<str>)>);

impl TraceState {
    /// Reads one list from all the headers that it came in. None where a member is malformed or
    /// there are more than 32: then nothing of it is passed on. Of a key that is there twice the
    /// first counts.
    #[must_use]
    pub fn parse<'h>(headers: impl IntoIterator<Item = &'h str>) -> Option<Self> {
        let mut state = Self::default();
        let mut count = 0;
        let members = headers.into_iter().flat_map(|header| header.split(','));
        for member in members.map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            count += 1;
            let (key, value) = member.split_once('=')?;
            if count > MAX_MEMBERS || !is_key(key) || !is_value(value) {
                return None;
            }
            if state.get(key).is_none() {
                state.0.push((key.into(), value.into()));
            }
        }
        state.shorten();
        Some(state)
    }

    /// The value of this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == key).map(|(_, value)| value)
    }

    /// Puts a value first, in place of the key's other one. False, and nothing, where key or value
    /// are not as the standard has them (`a-z0-9_-*/@`, and printable ASCII other than `,` and
    /// `=`). The last members go where there is no room.
    #[must_use]
    pub fn insert(&mut self, key: &str, value: &str) -> bool {
        let is_member = is_key(key) && is_value(value);
        if is_member {
            self.0.retain(|(own, _)| **own != *key);
            self.0.insert(0, (key.into(), value.into()));
            self.0.truncate(MAX_MEMBERS);
            self.shorten();
        }
        is_member
    }

    /// Every key with its value, the newest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + DoubleEndedIterator {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn extract(carrier: &dyn Carrier) -> Self {
        Self::parse(carrier.get_all(STATE)).unwrap_or_default()
    }

    pub(super) fn inject(&self, carrier: &mut dyn Carrier) {
        match self.is_empty() {
            true => carrier.remove(STATE),
            false => carrier.set(STATE, &self.to_string()),
        }
    }

    fn shorten(&mut self) {
        while self.length() > MAX_LENGTH {
            let long = |(key, value): (&str, &str)| key.len() + 1 + value.len() > LONG_MEMBER;
            let last = self.0.len() - 1;
            let place = self.iter().rposition(long).unwrap_or(last);
            self.0.remove(place);
        }
    }

    fn length(&self) -> usize {
        let members: usize = self.iter().map(|(key, value)| key.len() + 1 + value.len()).sum();
        members + self.0.len().saturating_sub(1)
    }
}

/// The header `tracestate`.
impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (key, value)) in self.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

/// Level 2, section 3.3.1.3.1.
fn is_key(key: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_further = |byte: u8| is_first(byte) || b"_-*/@".contains(&byte);
    key.len() <= MAX_TEXT && key.bytes().next().is_some_and(is_first) && key.bytes().all(is_further)
}

/// Level 2, section 3.3.1.3.2.
fn is_value(value: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
    value.len() <= MAX_TEXT && value.bytes().all(is_allowed) && value.ends_with(|last| last != ' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<String> {
        TraceState::parse([text]).map(|state| state.to_string())
    }

    #[test]
    fn a_list_is_read_as_the_standard_has_it() {
        for (text, list) in [
            ("", ""),
            ("a=1", "a=1"),
            ("a=1,, \tb@c= 2 ,", "a=1,b@c= 2"),
            ("0a*/_-=!~", "0a*/_-=!~"),
            ("a=1,a=2,b=3", "a=1,b=3"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(list), "{text:?}");
        }
        for wrong in ["a", "a=", "=1", "A=1", "_a=1", "a=1=2", "a b=1", "a=\u{7f}", "ä=1", "a=ä"]
        {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let state = TraceState::parse(["a=1", "b=2,c=3"]).expect("a list");
        assert_eq!(state.to_string(), "a=1,b=2,c=3");
    }

    #[test]
    fn a_list_has_no_more_than_32_members() {
        let list = |count: usize| {
            let members: Vec<String> = (0..count).map(|number| format!("k{number}=v")).collect();
            members.join(",")
        };
        let mut state = TraceState::parse([&*list(32)]).expect("as many as there may be");
        assert!(TraceState::parse([&*list(33)]).is_none());
        assert!(state.insert("new", "v"));
        assert_eq!((state.iter().len(), state.get("k31")), (32, None));
        assert_eq!(state.iter().next(), Some(("new", "v")));
        assert!(!state.insert("New", "v") && !state.insert("new", "a,b"));
    }

    #[test]
    fn keys_and_values_have_256_bytes_at_most() {
        let key = |length: usize| parsed(&format!("{}=1", "k".repeat(length)));
        let value = |length: usize| parsed(&format!("k={}", "v".repeat(length)));
        assert!(key(256).is_some() && value(256).is_some());
        assert!(key(257).is_none() && value(257).is_none());
    }

    #[test]
    fn what_does_not_fit_is_left_out_long_members_first() {
        let long = format!("long={}", "x".repeat(200));
        let short: Vec<String> = (0..30).map(|n| format!("k{n:02}={}", "v".repeat(10))).collect();
        let state = TraceState::parse([&*long, &*short.join(",")]).expect("a list");
        assert!(state.get("long").is_none());
        assert_eq!(state.length(), state.to_string().len());
        assert!(state.length() <= 512 && state.iter().len() == 30);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            members in proptest::collection::vec(("[a-z0-9][a-z0-9_*/@-]{0,20}", "[ -+\\--<>-~]{0,20}[!-+]"), 0..32),
        ) {
            let mut state = TraceState::default();
            for (key, value) in &members {
                prop_assert!(state.insert(key, value));
            }
            // Blanks around a member are not its own.
            let text = state.to_string();
            let again = TraceState::parse([text.as_str()]).expect("our own list");
            prop_assert_eq!(again, state);
        }
    }
}
