//! On which line of a TOML file a key stands.
//!
//! The toml crate tells where a value stands to types that ask for it in the way of its
//! `Spanned`; nothing here guesses. What it does not tell (a table that only its children
//! imply), or what does not look right, has no line.

use std::{collections::BTreeMap, fmt};

use figment::providers::{Format as _, Toml};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

const SPANNED: &str = "$__serde_spanned_private_Spanned";
const FIELDS: &[&str] = &[START, END, VALUE];
const START: &str = "$__serde_spanned_private_start";
const END: &str = "$__serde_spanned_private_end";
const VALUE: &str = "$__serde_spanned_private_value";

/// The line, counted from 1, of the key at `path`.
pub(super) fn line_of<S: AsRef<str>>(text: &str, path: &[S]) -> Option<usize> {
    let root = Toml::from_str::<Node>(text).ok()?;
    let node = path.iter().try_fold(&root, |node, segment| node.children.get(segment.as_ref()))?;
    let (line, _) = position(text, node.start?);
    let last = path.last()?.as_ref();
    let is_index = last.parse::<usize>().is_ok();
    let certain = is_index || text.lines().nth(line - 1).is_some_and(|line| line.contains(last));
    certain.then_some(line)
}

/// The line and column, counted from 1, of a byte of `text`.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Where a value and its children stand.
#[derive(Default)]
struct Node {
    start: Option<usize>,
    children: BTreeMap<String, Node>,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(SPANNED, FIELDS, NodeVisitor)
    }
}

/// The value within its span, which must not ask for the span again.
struct Inner(Node);

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Self)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut node = Node::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                START => node.start = Some(map.next_value()?),
                END => drop(map.next_value::<IgnoredAny>()?),
                VALUE => node.children = map.next_value::<Inner>()?.0.children,
                _ => drop(node.children.insert(key, map.next_value()?)),
            }
        }
        Ok(node)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut node = Node::default();
        while let Some(child) = seq.next_element()? {
            node.children.insert(node.children.len().to_string(), child);
        }
        Ok(node)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# comment
name = "im" # port = 1

[http]
port = 7001
note = """
port = 3
[grpc]
"""
tls.cert = "a"
limits = { body = 1,
           header = 2 }

[http.cors]
origins = [
  "a",
  "b",
]

[deep.er]
x = 1979-05-27

[[peers]]
host = "a"

[[peers]]
"host" = "ü"
"#;

    #[test]
    fn each_key_is_found_on_its_line() {
        let text = TEXT.replace("1,\n           header = 2", "1, header = 2");
        for (key, line) in [
            ("name", 2),
            ("http", 4),
            ("http.port", 5),
            ("http.note", 6),
            ("http.tls.cert", 10),
            ("http.limits.header", 11),
            ("http.cors", 13),
            ("http.cors.origins", 14),
            ("http.cors.origins.1", 16),
            ("deep.er", 19),
            ("deep.er.x", 20),
            ("peers.0.host", 23),
            ("peers.1.host", 26),
        ] {
            let path: Vec<_> = key.split('.').collect();
            assert_eq!(line_of(&text, &path), Some(line), "{key}");
        }
    }

    #[test]
    fn what_is_not_certain_has_no_line() {
        let text = "[a.b]\n\"\\u0063\" = 1\n";
        assert_eq!(line_of(text, &["a", "b", "c"]), None, "an escaped key");
        assert_eq!(line_of(text, &["a"]), None, "a table that its child implies");
        assert_eq!(line_of("x = 1\na.b = 2\na.c = 3", &["a"]), None, "the same by dots");
        assert_eq!(line_of(text, &["x"]), None, "no such key");
        assert_eq!(line_of("a = ", &["a"]), None, "not TOML");
    }

    #[test]
    fn positions_count_characters_and_survive_any_offset() {
        assert_eq!(position("äb\ncd", 2), (1, 2));
        assert_eq!(position("äb\ncd", 1), (1, 1));
        assert_eq!(position("äb\ncd", 99), (2, 3));
    }
}
