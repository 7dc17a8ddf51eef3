//! Named values that are text or files: parameters, queries, forms, parts, cookies, headers.

use std::{borrow::Cow, collections::HashMap};

use smallvec::{SmallVec, smallvec};

use super::{
    FilePart,
    percent::{self, Malformed, Space},
};

/// One value, before it has a type.
#[derive(Debug, Clone)]
pub(super) enum Given<'a> {
    Text(Cow<'a, str>),
    File(&'a FilePart),
    /// Bytes that stand for no text.
    Malformed(&'static str),
}

impl<'a> Given<'a> {
    pub(super) fn text(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }

    /// Bytes that ought to be UTF-8.
    pub(super) fn bytes(value: &'a [u8]) -> Self {
        std::str::from_utf8(value).map_or(Self::Malformed("the value is not UTF-8"), Self::text)
    }
}

/// Every value that one name was given.
pub(super) type AllGiven<'a> = SmallVec<[Given<'a>; 1]>;

/// Up to so many names are looked through faster than they are hashed.
const FEW: usize = 16;

/// Names, each once, with every value they were given, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Named<'a> {
    entries: SmallVec<[(Cow<'a, str>, AllGiven<'a>); 4]>,
    /// Where each name stands, once there are too many to look through.
    index: Option<HashMap<Cow<'a, str>, usize>>,
}

impl<'a> Named<'a> {
    /// Adds the pairs of a query or a form; the first `fixed` names are decided already.
    pub(super) fn add_encoded(&mut self, fixed: usize, encoded: &'a [u8]) {
        for (name, value) in pairs(encoded) {
            self.add(fixed, name, value);
        }
    }

    /// Adds a value, unless its name is among the first `fixed`.
    pub(super) fn add(&mut self, fixed: usize, name: Cow<'a, str>, value: Given<'a>) {
        match self.position(&name) {
            Some(position) if position < fixed => {}
            Some(position) => self.entries[position].1.push(value),
            None => self.push(name, value),
        }
    }

    fn push(&mut self, name: Cow<'a, str>, value: Given<'a>) {
        if self.entries.len() >= FEW {
            let known = self.entries.iter().enumerate();
            let known = known.map(|(position, (name, _))| (name.clone(), position));
            let index = self.index.get_or_insert_with(|| known.collect());
            index.insert(name.clone(), self.entries.len());
        }
        self.entries.push((name, smallvec![value]));
    }

    fn position(&self, name: &str) -> Option<usize> {
        if let Some(index) = &self.index {
            return index.get(name).copied();
        }
        self.entries.iter().position(|(known, _)| known == name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&[Given<'a>]> {
        self.position(name).map(|position| &*self.entries[position].1)
    }

    pub(super) fn at(&self, position: usize) -> Option<(&str, &[Given<'a>])> {
        self.entries.get(position).map(|(name, values)| (&**name, &**values))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The pairs of a query or a form (WHATWG URL, section 5.1). A name that is no percent-encoded
/// UTF-8 stays as it is, and is the name of no field; such a value is a fault of its field.
fn pairs(encoded: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Given<'_>)> {
    let pairs = encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = match equals {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        let name = percent::decode(name, Space::Plus)
            .unwrap_or_else(|Malformed| String::from_utf8_lossy(name));
        let value = percent::decode(value, Space::Plus).map_or_else(
            |Malformed| Given::Malformed("the value is not percent-encoded UTF-8"),
            Given::Text,
        );
        (name, value)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(encoded: &str) -> Vec<(String, String)> {
        let shown = |value| match value {
            Given::Text(text) => text.into_owned(),
            other => format!("{other:?}"),
        };
        pairs(encoded.as_bytes()).map(|(name, value)| (name.into_owned(), shown(value))).collect()
    }

    #[test]
    fn pairs_are_told_apart() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read("a=1&&b=x%26y+z&c&=d&e==f"),
            [pair("a", "1"), pair("b", "x&y z"), pair("c", ""), pair("", "d"), pair("e", "=f")],
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_form_panic(bytes in any::<Vec<u8>>(), name in ".*") {
            let mut named = Named::default();
            named.add_encoded(0, &bytes);
            let _ = named.get(&name);
        }

        #[test]
        fn what_is_given_is_found(
            given in prop::collection::vec(("[a-z]{1,2}", "[ -~äöü]{0,8}"), 0..60)
        ) {
            let encode = |text: &str| -> String {
                text.bytes().map(|byte| format!("%{byte:02x}")).collect()
            };
            let encoded: Vec<_> = given.iter()
                .map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
            let encoded = encoded.join("&");
            let mut named = Named::default();
            named.add_encoded(0, encoded.as_bytes());
            for (name, _) in &given {
                let all: Vec<_> = given.iter().filter(|(other, _)| other == name).collect();
                prop_assert_eq!(named.get(name).map(<[_]>::len), Some(all.len()));
            }
        }
    }
}
