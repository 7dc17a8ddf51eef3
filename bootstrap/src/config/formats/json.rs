//! JSON, by serde_json; the lines of its keys by a scanner of our own over what serde_json has
//! found to be JSON.

use std::borrow::Cow;

use figment::{
    providers::{Format as _, Json},
    value::Value,
};

use super::{Fault, Parsed, Places, places::Lines};

/// Reads a JSON text (RFC 8259). A key that stands twice is a fault.
pub(super) fn parse(text: &str) -> Result<Parsed, Vec<Fault>> {
    let values = Json::from_str::<Value>(text).map_err(|error| vec![syntax(&error)])?;
    let mut scanner =
        Scanner { text, lines: Lines::new(text), at: 0, path: Vec::new(), faults: Vec::new() };
    let places = scanner.value();
    match scanner.faults.is_empty() {
        true => Ok(Parsed { values, places }),
        false => Err(scanner.faults),
    }
}

fn syntax(error: &serde_json::Error) -> Fault {
    let message = error.to_string();
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&suffix).unwrap_or(&message);
    Fault::new(error.line().max(1), error.column(), message)
}

/// Walks over a text that is JSON, nested no deeper than serde_json allows (128).
struct Scanner<'t> {
    text: &'t str,
    lines: Lines<'t>,
    at: usize,
    path: Vec<String>,
    faults: Vec<Fault>,
}

impl<'t> Scanner<'t> {
    fn value(&mut self) -> Places {
        self.skip(|byte| byte.is_ascii_whitespace());
        let mut places = Places::at(self.lines.line(self.at));
        match self.peek() {
            Some(b'{') => self.members(&mut places),
            Some(b'[') => self.items(&mut places),
            Some(b'"') => drop(self.string()),
            _ => self.skip(|byte| !matches!(byte, b',' | b']' | b'}')),
        }
        places
    }

    fn members(&mut self, table: &mut Places) {
        while self.next_element(b'}') {
            let (line, column) = self.lines.position(self.at);
            let key = self.string().into_owned();
            // The colon.
            self.skip(|byte| byte != b':');
            self.at += 1;
            self.path.push(key.clone());
            if let Some(first) = table.children.get(&key) {
                let key = self.path.join(".");
                self.faults.push(Fault::duplicate(line, column, &key, first.line));
            }
            let value = Places { line: Some(line), ..self.value() };
            self.path.pop();
            table.children.entry(key).or_insert(value);
        }
    }

    fn items(&mut self, array: &mut Places) {
        while self.next_element(b']') {
            let index = array.children.len().to_string();
            self.path.push(index.clone());
            let item = self.value();
            self.path.pop();
            array.children.insert(index, item);
        }
    }

    /// Steps over what opens or separates; false at the end, which is stepped over too.
    fn next_element(&mut self, close: u8) -> bool {
        self.skip(|byte| byte.is_ascii_whitespace());
        let byte = self.peek();
        let opens = matches!(byte, Some(b'{' | b'[' | b','));
        if byte != Some(close) && !opens {
            return false;
        }
        self.at += 1;
        self.skip(|byte| byte.is_ascii_whitespace());
        let is_empty = opens && self.peek() == Some(close);
        self.at += usize::from(is_empty);
        opens && !is_empty
    }

    fn string(&mut self) -> Cow<'t, str> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.peek().filter(|byte| *byte != b'"') {
            self.at += if byte == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        let raw = self.text.get(start..self.at).unwrap_or_default();
        match raw.contains('\\') {
            false => Cow::Borrowed(raw.trim_matches('"')),
            true => Cow::Owned(serde_json::from_str(raw).unwrap_or_default()),
        }
    }

    fn skip(&mut self, while_true: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&while_true) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
{
  "name": "a \" { , b",
  "http": {
    "port": -1.5e3, "empty": {}, "none": [ ],
    "tls": { "ce\u0072t":
      true }
  },
  "peers": [
    { "host": "a" },
    null,
    [1,
     2]
  ], "last"
  : 1
}"#;

    #[test]
    fn each_key_is_found_on_its_line() {
        let places = parse(TEXT).expect("is JSON").places;
        for (key, line) in [
            ("name", 3),
            ("http", 4),
            ("http.port", 5),
            ("http.empty", 5),
            ("http.none", 5),
            ("http.tls.cert", 6),
            ("peers", 9),
            ("peers.0.host", 10),
            ("peers.1", 11),
            ("peers.2.1", 13),
            ("last", 14),
        ] {
            let path: Vec<_> = key.split('.').collect();
            assert_eq!(places.line_of(&path), Some(line), "{key}");
        }
        assert_eq!(places.line_of(&["http", "x"]), None);
        assert_eq!(places.line_of::<&str>(&[]), None);
    }

    #[test]
    fn a_key_is_the_same_however_it_is_escaped() {
        let faults = parse("{\"key\": 1,\n \"\\u006bey\": 2}").expect_err("twice");
        assert_eq!(faults, [Fault::duplicate(2, 2, "key", Some(1))]);
    }
}
