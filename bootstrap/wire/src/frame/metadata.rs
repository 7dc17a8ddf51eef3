use std::{borrow::Cow, fmt, slice};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor},
};

/// How many entries a frame's metadata may have.
const MAX_ENTRIES: usize = 64;
/// How long all names and values together may be, in bytes.
const MAX_BYTES: usize = 8 * 1024;
/// How much of a name an error repeats, in bytes.
const MAX_NAME_SHOWN: usize = 64;

/// What stands beside a frame's data, as headers do on HTTP: `"metadata":{"x-user":"tom"}`.
///
/// Names and values are strings; there are at most 64 of them, of 8 KiB in all. Names are as they
/// were sent, in their order, and may come twice. A frame without metadata pays nothing for it.
///
/// # Examples
/// ```
/// use polyport_wire::Frame;
///
/// let frame = Frame::parse(r#"{"event":"hello","metadata":{"x-user":"tom"}}"#).unwrap();
/// assert_eq!(frame.metadata.iter().collect::<Vec<_>>(), [("x-user", "tom")]);
/// assert!(Frame::parse(r#"{"event":"hello","metadata":{"x-user":1}}"#).is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Metadata<'_> {
    /// Every name with its value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let entries: slice::Iter<'_, _> = self.0.iter();
        entries.map(|(name, value)| (&**name, &**value))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Metadata<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = deserializer.deserialize_any(Entries)?;
        Ok(Self(entries))
    }
}

type Pairs<'de> = Vec<(Cow<'de, str>, Cow<'de, str>)>;

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings as \"metadata\"")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut entries, mut room) = (Vec::new(), MAX_BYTES);
        while let Some(name) = map.next_key_seed(Text(None))? {
            if entries.len() == MAX_ENTRIES {
                let most = format!("\"metadata\" has more than {MAX_ENTRIES} entries");
                return Err(Error::custom(most));
            }
            let value = map.next_value_seed(Text(Some(&name)))?;
            room = room.checked_sub(name.len() + value.len()).ok_or_else(|| {
                Error::custom(format!("\"metadata\" is longer than {MAX_BYTES} bytes"))
            })?;
            entries.push((name, value));
        }
        Ok(entries)
    }
}

/// A name, or the value of that name.
#[derive(Clone, Copy)]
struct Text<'n>(Option<&'n str>);

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => {
                let name = &name[..name.floor_char_boundary(MAX_NAME_SHOWN)];
                write!(f, "a string as \"metadata\".{name:?}")
            }
            None => f.write_str("a name in \"metadata\""),
        }
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use crate::Frame;

    fn refusal(metadata: &str) -> String {
        let text = format!(r#"{{"event":"x","metadata":{metadata}}}"#);
        Frame::parse(&text).map(|_| ()).expect_err("no metadata").to_string()
    }

    #[test]
    fn anything_but_an_object_of_strings_is_refused_by_name() {
        for wrong in ["1", "true", "[]", "\"x\""] {
            assert!(refusal(wrong).contains("expected an object of strings as \"metadata\""));
        }
        for wrong in ["1", "null", "{}", "[\"x\"]"] {
            let error = refusal(&format!(r#"{{"a":"1","x-user":{wrong}}}"#));
            assert!(error.contains(r#"expected a string as "metadata"."x-user""#), "{error}");
        }
    }

    #[test]
    fn metadata_is_bounded() {
        let entries = |count: usize| {
            let entries: Vec<String> =
                (0..count).map(|number| format!("\"{number}\":\"\"")).collect();
            format!(r#"{{"event":"x","metadata":{{{}}}}}"#, entries.join(","))
        };
        assert_eq!(Frame::parse(&entries(64)).expect("as many as fit").metadata.len(), 64);
        let error = Frame::parse(&entries(65)).map(|_| ()).expect_err("one too many");
        assert!(error.to_string().contains("more than 64 entries"), "{error}");
        let long = |length: usize| format!(r#"{{"n":"{}"}}"#, "x".repeat(length));
        assert!(refusal(&long(8192)).contains("longer than 8192 bytes"));
        let fits = format!(r#"{{"event":"x","metadata":{}}}"#, long(8191));
        assert!(Frame::parse(&fits).is_ok());
    }

    #[test]
    fn a_frame_may_have_none() {
        for text in [r#"{"event":"x"}"#, r#"{"event":"x","metadata":null}"#] {
            assert!(Frame::parse(text).expect("a frame").metadata.is_empty(), "{text}");
        }
    }
}
