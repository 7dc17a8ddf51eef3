use std::fmt::{self, Write as _};

use super::Carrier;

const BAGGAGE: &str = "baggage";

/// How many members, and how many bytes in all, are passed on (section 3.3.2).
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// Names and values that go along with a call and all calls that it makes: W3C Baggage.
///
/// It reaches everybody who is called, so it is no place for secrets; and anybody may have written
/// it, so it proves nothing.
///
/// # Examples
/// ```
/// use http::HeaderMap;
/// use polyport_bootstrap::operation::trace::Baggage;
///
/// let mut baggage = Baggage::default();
/// assert!(baggage.insert("tenant", "Åcme"));
/// let mut headers = HeaderMap::new();
/// baggage.inject(&mut headers);
/// assert_eq!(headers["baggage"], "tenant=%C3%85cme");
/// assert_eq!(Baggage::extract(&headers).get("tenant"), Some("Åcme"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baggage(Vec<BaggageEntry>);

/// One member of a [`Baggage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaggageEntry {
    key: String,
    value: String,
    properties: Vec<(String, Option<String>)>,
}

impl BaggageEntry {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value, decoded.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What else is said of it: `;ttl=5;shared`, decoded.
    pub fn properties(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.properties.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    fn parse(member: &str) -> Option<Self> {
        let mut parts = member.split(';');
        let (key, value) = parts.next()?.split_once('=')?;
        let mut entry = Self { key: key_of(key)?, value: decode(value)?, properties: Vec::new() };
        for property in parts {
            entry.properties.push(match property.split_once('=') {
                Some((key, value)) => (key_of(key)?, Some(decode(value)?)),
                None => (key_of(property)?, None),
            });
        }
        Some(entry)
    }
}

impl Baggage {
    /// Reads what a caller has sent, in however many headers. Members that are malformed, or do
    /// not fit into 64 members and 8,192 bytes, are left out.
    #[must_use]
    pub fn extract(carrier: &dyn Carrier) -> Self {
        Self::parse(carrier.get_all(BAGGAGE))
    }

    /// Writes it for whoever is called, in place of what stands there.
    pub fn inject(&self, carrier: &mut dyn Carrier) {
        match self.is_empty() {
            true => carrier.remove(BAGGAGE),
            false => carrier.set(BAGGAGE, &self.to_string()),
        }
    }

    /// Reads the values of the header `baggage`, as [`extract`](Self::extract) does.
    #[must_use]
    pub fn parse<'h>(headers: impl IntoIterator<Item = &'h str>) -> Self {
        let mut baggage = Self::default();
        let mut length = 0;
        let members = headers.into_iter().flat_map(|header| header.split(','));
        for entry in members.filter_map(BaggageEntry::parse) {
            let longer = length + usize::from(length > 0) + entry.to_string().len();
            if longer <= MAX_BYTES && baggage.0.len() < MAX_MEMBERS {
                length = longer;
                baggage.0.push(entry);
            }
        }
        baggage
    }

    /// The value of this key; of one that is there twice the last.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|entry| entry.key == key).map(BaggageEntry::value)
    }

    /// Adds a value, in place of the key's other ones. False, and nothing, where the key is no
    /// token (RFC 9110, section 5.6.2) or there is no room.
    #[must_use]
    pub fn insert(&mut self, key: &str, value: &str) -> bool {
        if !is_token(key) {
            return false;
        }
        let mut entries = self.0.clone();
        entries.retain(|entry| entry.key != key);
        entries.push(BaggageEntry {
            key: key.to_owned(),
            value: value.to_owned(),
            properties: Vec::new(),
        });
        let changed = Self(entries);
        let fits = changed.0.len() <= MAX_MEMBERS && changed.to_string().len() <= MAX_BYTES;
        if fits {
            *self = changed;
        }
        fits
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|entry| entry.key != key);
    }

    /// Every member, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &BaggageEntry> {
        self.0.iter()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The header `baggage`.
impl fmt::Display for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, entry) in self.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{entry}")?;
        }
        Ok(())
    }
}

/// The member as it stands in the header.
impl fmt::Display for BaggageEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.key)?;
        encode(&self.value, f)?;
        for (key, value) in self.properties() {
            write!(f, ";{key}")?;
            if let Some(value) = value {
                f.write_char('=')?;
                encode(value, f)?;
            }
        }
        Ok(())
    }
}

fn key_of(text: &str) -> Option<String> {
    let key = text.trim_matches([' ', '\t']);
    is_token(key).then(|| key.to_owned())
}

fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// What may stand in a value as it is (section 3.3.1.1).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

fn encode(value: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in value.bytes() {
        match is_plain(byte) && byte != b'%' {
            true => f.write_char(char::from(byte))?,
            false => write!(f, "%{byte:02X}")?,
        }
    }
    Ok(())
}

/// Decodes percent signs; what is not UTF-8 then becomes U+FFFD, as the standard wants it, and a
/// percent sign without digits stays.
fn decode(text: &str) -> Option<String> {
    let text = text.trim_matches([' ', '\t']);
    if !text.bytes().all(is_plain) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let decoded = if *first == b'%' { digits(after) } else { None };
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn digits(text: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let number = digit(text.first()?)? << 4 | digit(text.get(1)?)?;
    u8::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> String {
        Baggage::parse([text]).to_string()
    }

    #[test]
    fn a_list_is_read_as_the_standard_has_it() {
        for (text, list) in [
            ("", ""),
            ("a=1", "a=1"),
            ("a = 1 , b\t=\t2", "a=1,b=2"),
            ("a=1;shared;ttl = 5 ,b=", "a=1;shared;ttl=5,b="),
            ("a=x=y", "a=x=y"),
            ("a=%41%c3%84%zz%", "a=A%C3%84%25zz%25"),
            ("a=%ff", "a=%EF%BF%BD"),
        ] {
            assert_eq!(parsed(text), list, "{text:?}");
        }
    }

    #[test]
    fn malformed_members_are_left_out() {
        for wrong in
            ["a", "=1", "a b=1", "a=1 2", "a=\"1\"", "a=1;;", "a=1;b c", "ä=1", "a=ä", "a=\\"]
        {
            assert_eq!(parsed(&format!("x=1,{wrong},y=2")), "x=1,y=2", "{wrong:?}");
        }
    }

    #[test]
    fn several_headers_are_one_list_of_bounded_length() {
        assert_eq!(Baggage::parse(["a=1", "b=2"]).to_string(), "a=1,b=2");
        let many: Vec<String> = (0..70).map(|number| format!("k{number}=v")).collect();
        assert_eq!(Baggage::parse([&*many.join(",")]).iter().len(), 64);
        let long = format!("a={},b={},c=1", "x".repeat(8000), "x".repeat(300));
        let baggage = Baggage::parse([&*long]);
        assert_eq!((baggage.iter().len(), baggage.get("c")), (2, Some("1")));
    }

    #[test]
    fn a_value_is_set_once_and_only_where_there_is_room() {
        let mut baggage = Baggage::parse(["a=1;p,b=2,a=3"]);
        assert_eq!(baggage.get("a"), Some("3"));
        assert!(baggage.insert("a", "a, b; c"));
        assert_eq!(baggage.to_string(), "b=2,a=a%2C%20b%3B%20c");
        assert!(!baggage.insert("a b", "1") && !baggage.insert("c", &"ä".repeat(2000)));
        baggage.remove("a");
        assert_eq!(baggage.to_string(), "b=2");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            members in proptest::collection::vec(("[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,20}", any::<String>()), 0..20),
        ) {
            let mut baggage = Baggage::default();
            for (key, value) in &members {
                prop_assume!(baggage.insert(key, value));
            }
            let text = baggage.to_string();
            prop_assert_eq!(Baggage::parse([text.as_str()]), baggage);
        }
    }
}
