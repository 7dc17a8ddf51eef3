//! TOML, by the toml crate.
//!
//! That crate tells where a value stands to types that ask for it in the way of its `Spanned`;
//! nothing here guesses. What it does not tell (a table that only its children imply), or what
//! does not look right, has no line.

use std::{collections::BTreeMap, fmt};

use figment::{
    providers::{Format as _, Toml},
    value::Value,
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{Fault, Parsed, Places, places::Lines};

const SPANNED: &str = "$__serde_spanned_private_Spanned";
const FIELDS: &[&str] = &[START, END, VALUE];
const START: &str = "$__serde_spanned_private_start";
const END: &str = "$__serde_spanned_private_end";
const VALUE: &str = "$__serde_spanned_private_value";

/// Reads a TOML document (1.0).
pub(super) fn parse(text: &str) -> Result<Parsed, Vec<Fault>> {
    let values = Toml::from_str::<Value>(text).map_err(|error| {
        let at = error.span().map(|span| span.start);
        vec![syntax(text, at, error.message())]
    })?;
    Ok(Parsed { values, places: places(text) })
}

/// Where the keys of `text` stand; nothing where it is not TOML.
fn places(text: &str) -> Places {
    let root = Toml::from_str::<Node>(text).unwrap_or_default();
    root.places(&Lines::new(text), "")
}

fn syntax(text: &str, at: Option<usize>, message: &str) -> Fault {
    let place = at.map(|at| Lines::new(text).position(at));
    let before = &text[..at.unwrap_or_default()];
    if let Some(duplicate) = place.and_then(|place| duplicate(before, place, message)) {
        return duplicate;
    }
    let message = message.trim().replace('\n', ", ");
    Fault { place, message: without_content(&message) }
}

/// The fault of a key that stands twice, from the toml crate's words for it.
fn duplicate(before: &str, (line, column): (usize, usize), message: &str) -> Option<Fault> {
    let (_, about) = message.split_once("duplicate key `")?;
    let (key, place) = about.split_once('`')?;
    let table = place.strip_prefix(" in table `").and_then(|table| table.strip_suffix('`'));
    let path = table.map_or(key.to_owned(), |table| format!("{table}.{key}"));
    let first = places(before).line_of(&path.split('.').collect::<Vec<_>>());
    Some(Fault::duplicate(line, column, &path, first))
}

/// `message` without what it quotes of the file, which may be a secret: of what stands in
/// backticks only signs are kept.
fn without_content(message: &str) -> String {
    let parts = message.split('`').enumerate().map(|(index, part)| match index % 2 {
        1 if part.chars().any(char::is_alphanumeric) => "…",
        _ => part,
    });
    parts.collect::<Vec<_>>().join("`")
}

/// Where a value and its children stand.
#[derive(Default)]
struct Node {
    start: Option<usize>,
    children: BTreeMap<String, Node>,
}

impl Node {
    /// The lines of this node, whose key is the last of its path, and of those below it.
    fn places(self, lines: &Lines<'_>, key: &str) -> Places {
        let line = self.start.map(|start| lines.line(start));
        let is_index = key.parse::<usize>().is_ok();
        let certain = |line: &usize| is_index || lines.content(*line).contains(key);
        let children = self.children.into_iter().map(|(key, node)| {
            let places = node.places(lines, &key);
            (key, places)
        });
        Places { children: children.collect(), line: line.filter(certain) }
    }
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

    fn line_of(text: &str, path: &[&str]) -> Option<usize> {
        places(text).line_of(path)
    }

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
    fn messages_quote_signs_and_no_content() {
        let quoted = without_content("invalid `hunter2`, expected `\"`, `'`");
        assert_eq!(quoted, "invalid `…`, expected `\"`, `'`");
    }

    #[test]
    fn a_table_that_stands_twice_names_both_lines_where_they_are_known() {
        let fault = |text| parse(text).expect_err("is faulty").remove(0);
        assert_eq!(fault("[a]\nx = 1\n\n[a]\n"), Fault::duplicate(4, 1, "a", Some(1)));
        assert_eq!(fault("a = { x = 1, x = 2 }"), Fault::duplicate(1, 6, "x", None));
    }
}
