//! What a config file says, and on which line: TOML, YAML and JSON.

mod json;
mod places;
mod toml;
mod yaml;
mod yaml_scalar;

use figment::value::Value;

pub(super) use self::places::Places;
use super::tree;

/// The format of a config file, by its name's ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    Yaml,
    Json,
}

/// A file's values, and where their keys stand.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Parsed {
    pub(super) values: Value,
    pub(super) places: Places,
}

/// What is wrong at one place of a file. The message quotes keys and never a value, which may be
/// a secret.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    /// Line and column, counted from 1.
    pub(super) place: Option<(usize, usize)>,
    pub(super) message: String,
}

impl Fault {
    fn new(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { place: Some((line, column.max(1))), message: message.into() }
    }

    fn of_key(self, path: &[String]) -> Self {
        match path {
            [] => self,
            path => Self { message: format!("key {}: {}", path.join("."), self.message), ..self },
        }
    }

    /// A key that stands twice in one table.
    fn duplicate(line: usize, column: usize, key: &str, first: Option<usize>) -> Self {
        let first = first.map_or(String::new(), |line| format!("; the first is on line {line}"));
        Self::new(line, column, format!("key {key} is set twice{first}"))
    }
}

/// Reads a file's `text`; a file in which everything is a comment is an empty table.
pub(super) fn parse(format: Format, text: &str) -> Result<Parsed, Vec<Fault>> {
    let parsed = match format {
        Format::Toml => toml::parse(text)?,
        Format::Yaml => yaml::parse(text)?,
        Format::Json => json::parse(text)?,
    };
    let whole = |message| Err(vec![Fault { place: None, message }]);
    match tree::normalise(parsed.values) {
        values if tree::depth(&values) > tree::MAX_DEPTH => whole(tree::too_deep()),
        values if tree::is_table(&values) => Ok(Parsed { values, ..parsed }),
        Value::Empty(..) => Ok(Parsed { values: tree::empty(), ..parsed }),
        other => {
            let found = tree::kind_of(&other);
            whole(format!("the file must hold a table of sections, not {found}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of a file, as `line:column message`.
    fn faults(format: Format, text: &str) -> Vec<String> {
        let faults = parse(format, text).expect_err("is faulty");
        let shown = |fault: Fault| match fault.place {
            Some((line, column)) => format!("{line}:{column} {}", fault.message),
            None => fault.message,
        };
        faults.into_iter().map(shown).collect()
    }

    #[test]
    fn a_key_that_stands_twice_names_both_lines_in_every_format() {
        let expected = "key http.port is set twice; the first is on line 2";
        let toml = "[http]\nport = 1\nhost = 'a'\nport = 2\n";
        assert_eq!(faults(Format::Toml, toml), [format!("4:1 {expected}")]);
        let yaml = "http:\n  port: 1\n  host: a\n  port: 2\n";
        assert_eq!(faults(Format::Yaml, yaml), [format!("4:3 {expected}")]);
        let json = "{ \"http\": {\n  \"port\": 1,\n  \"host\": \"a\",\n  \"port\": 2 } }";
        assert_eq!(faults(Format::Json, json), [format!("4:3 {expected}")]);
    }

    #[test]
    fn every_key_that_stands_twice_is_reported_at_once() {
        let json = "{\"a\": 1,\n\"a\": 2,\n\"b\": [{\"c\": 1, \"c\": 2}]}";
        let expected = ["2:1 key a is set twice; the first is on line 1".to_owned()];
        let inner = "3:16 key b.0.c is set twice; the first is on line 3".to_owned();
        assert_eq!(faults(Format::Json, json), [&expected[..], &[inner]].concat());
        let yaml = "a: 1\na: 2\nb:\n- {c: 1, c: 2}\n";
        let inner = "4:10 key b.0.c is set twice; the first is on line 4".to_owned();
        assert_eq!(faults(Format::Yaml, yaml), [&expected[..], &[inner]].concat());
    }

    #[test]
    fn what_is_nested_too_deep_is_a_fault_and_overflows_no_stack() {
        let deep = 200_000;
        for (format, text) in [
            (Format::Toml, "a.".repeat(deep) + "a = 1"),
            (Format::Toml, format!("[{}a]", "a.".repeat(deep))),
            (Format::Toml, format!("[[{}a]]", "a.".repeat(deep))),
            (Format::Toml, format!("a = {}", "[".repeat(deep))),
            (Format::Toml, format!("a = {}", "{a = ".repeat(deep))),
            (Format::Toml, format!("a = {{ {}a = 1 }}", "a.".repeat(deep))),
            (Format::Yaml, "- ".repeat(deep)),
            (Format::Yaml, "? ".repeat(deep)),
            (Format::Yaml, "[".repeat(deep)),
            (Format::Yaml, "{a: ".repeat(deep)),
            (Format::Json, "[".repeat(deep)),
            (Format::Json, "{\"a\":".repeat(deep)),
        ] {
            assert_eq!(faults(format, &text).len(), 1);
        }
        let text = format!("a = {}{}", "[".repeat(70), "]".repeat(70));
        assert_eq!(faults(Format::Toml, &text), ["nested deeper than 64 tables and arrays"]);
    }
}
