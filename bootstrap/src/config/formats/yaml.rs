//! YAML, from the events of saphyr-parser.

use std::{borrow::Cow, collections::HashMap};

use figment::value::{Dict, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{
    Fault, Parsed, Places,
    yaml_scalar::{known_tag, scalar, unknown_tag},
};
use crate::config::tree::{self, MAX_DEPTH};

/// How much a file may hold with all its aliases written out, in values and bytes of text: a few lines of aliases to
/// aliases would otherwise fill the memory.
const MAX_SIZE: usize = 1 << 22;

type Result<T> = std::result::Result<T, Fault>;

/// Reads one YAML document, its scalars by the core schema (YAML 1.2.2, section 10.3), except that
/// digits with a leading zero are text, as in a postcode. `<<` merges (YAML 1.1). A key that stands
/// twice is a fault.
pub(super) fn parse(text: &str) -> std::result::Result<Parsed, Vec<Fault>> {
    let mut loader = Loader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        path: Vec::new(),
        size: 0,
        duplicates: Vec::new(),
    };
    let (values, places) = loader.document().map_err(|fault| vec![fault])?;
    match loader.duplicates.is_empty() {
        true => Ok(Parsed { values, places }),
        false => Err(loader.duplicates),
    }
}

struct Loader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Value>,
    path: Vec<String>,
    size: usize,
    duplicates: Vec<Fault>,
}

/// Where an event stands.
type At = (usize, usize);

impl<'t> Loader<'t> {
    fn document(&mut self) -> Result<(Value, Places)> {
        self.next()?;
        let (Event::DocumentStart(_), _) = self.next()? else {
            return Ok((tree::empty(), Places::default()));
        };
        let (event, at) = self.next()?;
        let whole = self.node(event, at)?;
        self.next()?;
        match self.next()? {
            (Event::DocumentStart(_), (line, column)) => {
                Err(Fault::new(line, column, "a second document begins, and a file is one"))
            }
            _ => Ok(whole),
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, At)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place(&span))),
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, (1, 1))),
        }
    }

    fn node(&mut self, event: Event<'t>, at: At) -> Result<(Value, Places)> {
        let (anchor, (value, places)) = match event {
            Event::Alias(anchor) => return Ok((self.alias(anchor, at)?, Places::at(at.0))),
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(text, style, tag.as_deref(), at);
                (anchor, (value.map_err(|fault| fault.of_key(&self.path))?, Places::at(at.0)))
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag, "seq", at)?;
                (anchor, self.nested(at, Self::items)?)
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag, "map", at)?;
                (anchor, self.nested(at, Self::members)?)
            }
            _ => return Err(Fault::new(at.0, at.1, "a value is missing")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok((value, places))
    }

    fn nested(
        &mut self,
        at: At,
        read: impl FnOnce(&mut Self, &mut Places) -> Result<Value>,
    ) -> Result<(Value, Places)> {
        if self.path.len() >= MAX_DEPTH {
            return Err(Fault::new(at.0, at.1, tree::too_deep()));
        }
        let mut places = Places::at(at.0);
        Ok((read(self, &mut places)?, places))
    }

    fn items(&mut self, array: &mut Places) -> Result<Value> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if let Event::SequenceEnd = event {
                return Ok(Value::from(items));
            }
            self.path.push(items.len().to_string());
            let (value, places) = self.node(event, at)?;
            array.children.extend(self.path.pop().map(|index| (index, places)));
            items.push(value);
        }
    }

    fn members(&mut self, places: &mut Places) -> Result<Value> {
        let (mut table, mut merged) = (Dict::new(), Dict::new());
        loop {
            let (event, at) = self.next()?;
            if let Event::MappingEnd = event {
                merged.extend(table);
                return Ok(Value::from(merged));
            }
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.key(event, at)?;
            let (event, value_at) = self.next()?;
            self.path.push(key.clone());
            let (value, below) = self.node(event, value_at)?;
            if is_merge {
                merge(&mut merged, value, value_at)?;
            } else if let Some(first) = places.children.get(&key) {
                let key = self.path.join(".");
                self.duplicates.push(Fault::duplicate(at.0, at.1, &key, first.line));
            } else {
                places.children.insert(key.clone(), Places { line: Some(at.0), ..below });
                table.insert(key, value);
            }
            self.path.pop();
        }
    }

    fn key(&mut self, event: Event<'t>, at: At) -> Result<String> {
        match event {
            Event::Scalar(text, _, anchor, _) => {
                if anchor > 0 {
                    self.anchors.insert(anchor, Value::from(text.as_ref()));
                }
                Ok(text.into_owned())
            }
            _ => Err(Fault::new(at.0, at.1, "a key must be text")),
        }
    }

    fn alias(&mut self, anchor: usize, at: At) -> Result<Value> {
        let Some(value) = self.anchors.get(&anchor).cloned() else {
            return Err(Fault::new(at.0, at.1, "the alias stands within its own anchor"));
        };
        self.count(tree::size(&value), at)?;
        match tree::depth(&value) + self.path.len() > MAX_DEPTH {
            true => Err(Fault::new(at.0, at.1, tree::too_deep())),
            false => Ok(value),
        }
    }

    fn count(&mut self, more: usize, at: At) -> Result<()> {
        self.size += more;
        match self.size > MAX_SIZE {
            true => {
                let message = format!("aliases stand for more than {MAX_SIZE} bytes");
                Err(Fault::new(at.0, at.1, message))
            }
            false => Ok(()),
        }
    }
}

fn place(span: &Span) -> At {
    (span.start.line(), span.start.col() + 1)
}

fn syntax(error: &ScanError) -> Fault {
    Fault::new(error.marker().line(), error.marker().col() + 1, error.info())
}

/// Lays the table, or the tables of an array, that `<<` names beneath what stands beside it; of
/// several the earlier one wins.
fn merge(below: &mut Dict, value: Value, at: At) -> Result<()> {
    match value {
        Value::Dict(_, table) => {
            for (key, value) in table {
                below.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(_, tables) if tables.iter().all(tree::is_table) => {
            tables.into_iter().try_for_each(|table| merge(below, table, at))
        }
        _ => Err(Fault::new(at.0, at.1, "<< takes a table, or an array of tables")),
    }
}

fn check_tag(tag: Option<Cow<'_, Tag>>, expected: &str, at: At) -> Result<()> {
    match tag.as_deref().map(known_tag) {
        None | Some(Some("!")) => Ok(()),
        Some(Some(suffix)) if suffix == expected => Ok(()),
        _ => Err(unknown_tag(at)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::mask::masked;

    fn values(text: &str) -> serde_json::Value {
        masked(&parse(text).expect("is YAML").values, false)
    }

    fn fault(text: &str) -> String {
        let fault = parse(text).expect_err("is faulty").remove(0);
        let (line, column) = fault.place.expect("is known");
        format!("{line}:{column} {}", fault.message)
    }

    #[test]
    fn anchors_and_merges_are_written_out() {
        let text = "base: &base {x: 1, y: 2}\nother: &other {y: 3, z: 4}\n\
                    a:\n  <<: *base\n  x: 5\nb:\n  <<: [*base, *other]\nc: *base\n";
        let base = json!({ "x": 1, "y": 2 });
        assert_eq!(
            values(text),
            json!({
                "base": base, "other": { "y": 3, "z": 4 }, "a": { "x": 5, "y": 2 },
                "b": { "x": 1, "y": 2, "z": 4 }, "c": base,
            })
        );
    }

    #[test]
    fn each_key_is_found_on_its_line() {
        let text = "# comment\nname: im\nhttp:\n  port: 1\n  tls: {cert: a,\n    key: b}\n\
                    peers:\n- host: a\n-\n  host: |\n    x\n\"la\\x73t\":\n  1\n";
        let places = parse(text).expect("is YAML").places;
        for (key, line) in [
            ("name", 2),
            ("http", 3),
            ("http.port", 4),
            ("http.tls.cert", 5),
            ("http.tls.key", 6),
            ("peers", 7),
            ("peers.0.host", 8),
            ("peers.1.host", 10),
            ("last", 12),
        ] {
            let path: Vec<_> = key.split('.').collect();
            assert_eq!(places.line_of(&path), Some(line), "{key}");
        }
    }

    #[test]
    fn faults_say_what_is_wrong_and_no_value() {
        for (text, expected) in [
            ("a: !!int hunter2", "1:4 key a: expected an integer"),
            ("a: !!null x", "1:4 key a: expected null"),
            ("a: !!bool 1", "1:4 key a: expected a boolean"),
            ("a: !!float x", "1:4 key a: expected a number"),
            ("a: !hunter2 x", "1:4 key a: the tag means nothing here; remove it"),
            ("a: !!set {x: 1}", "1:4 the tag means nothing here; remove it"),
            ("a: 1\n---\nb: 2", "2:1 a second document begins, and a file is one"),
            ("[a]: 1", "1:1 a key must be text"),
            ("a: &a [*a]", "1:8 the alias stands within its own anchor"),
            ("a: {<<: 1}", "1:9 << takes a table, or an array of tables"),
        ] {
            assert_eq!(fault(text), expected);
        }
        assert!(fault("a: *b").starts_with("1:4 "));
        assert!(fault("password: hunter2: 3").starts_with("1:18 mapping values"));
    }

    #[test]
    fn aliases_of_aliases_do_not_fill_the_memory_nor_the_stack() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..30 {
            let alias = format!("*a{}", level - 1);
            let items = vec![alias; 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(fault(&text).ends_with("aliases stand for more than 4194304 bytes"));
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..100 {
            text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert!(fault(&text).ends_with("nested deeper than 64 tables and arrays"));
    }
}
