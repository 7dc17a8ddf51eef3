//! The names that a type has for its fields, as its readings saw them.

use std::{borrow::Cow, collections::HashMap};

use super::state::push_key;
use crate::operation::binding::InputField;

/// As many places are remembered; the keys of maps are the client's.
const MOST_PLACES: usize = 1000;
/// As many names of one place.
const MOST_NAMES: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Shape(HashMap<String, Names>);

#[derive(Debug, Default)]
struct Names {
    fields: Vec<Cow<'static, str>>,
    variants: Vec<String>,
}

impl Shape {
    fn at(&mut self, pattern: &str) -> Option<&mut Names> {
        if !self.0.contains_key(pattern) {
            if self.0.len() == MOST_PLACES {
                return None;
            }
            self.0.insert(pattern.to_owned(), Names::default());
        }
        self.0.get_mut(pattern)
    }

    /// A struct.
    pub(super) fn fields(&mut self, pattern: &str, fields: &'static [&'static str]) {
        if let Some(names) = self.at(pattern).filter(|names| names.fields.is_empty()) {
            names.fields = fields.iter().map(|field| Cow::Borrowed(*field)).collect();
        }
    }

    /// A key that the client wrote.
    pub(super) fn key(&mut self, pattern: &str, key: &str) {
        if let Some(names) = self.at(pattern).filter(|names| names.fields.len() < MOST_NAMES)
            && !names.fields.iter().any(|known| known == key)
        {
            names.fields.push(Cow::Owned(key.to_owned()));
        }
    }

    /// A variant of an enum.
    pub(super) fn variant(&mut self, pattern: &str, variant: &str) {
        if let Some(names) = self.at(pattern).filter(|names| names.variants.len() < MOST_NAMES)
            && !names.variants.iter().any(|known| known == variant)
        {
            names.variants.push(variant.to_owned());
        }
    }

    /// A path of validation as the client would write it: validation knows the names that Rust has.
    /// An input that names its `fields` says what they are for the client; otherwise it is the field
    /// of the same letters.
    pub(super) fn client_path(&self, path: &garde::Path, fields: &[InputField]) -> String {
        let steps = steps(path);
        let mut out = Out::default();
        for (at, step) in steps.iter().enumerate() {
            let name = match step {
                Step::Index(index) => {
                    out.index(index);
                    continue;
                }
                Step::Key(name) => name,
            };
            let exact = fields.iter().find(|field| at == 0 && field.rust == name);
            if let Some(field) = exact {
                out.key(field.name());
            } else if let Some(given) = self.name_at(&out.pattern, name) {
                out.key(given);
            } else if let Some((variant, given)) = self.name_in_variant(&out.pattern, name) {
                out.key(variant);
                out.key(given);
            } else if !self.is_flattened(&out.pattern, steps.get(at + 1)) {
                out.key(name);
            }
        }
        out.path
    }

    fn name_at(&self, pattern: &str, name: &str) -> Option<&str> {
        let fields = &self.0.get(pattern)?.fields;
        let exact = fields.iter().find(|field| *field == name);
        exact.or_else(|| fields.iter().find(|field| is_alike(field, name))).map(|name| &**name)
    }

    fn name_in_variant(&self, pattern: &str, name: &str) -> Option<(&str, &str)> {
        self.0.get(pattern)?.variants.iter().find_map(|variant| {
            let mut inner = pattern.to_owned();
            push_key(&mut inner, variant);
            Some((variant.as_str(), self.name_at(&inner, name)?))
        })
    }

    /// Whether the step after one that is unknown is known in its place.
    fn is_flattened(&self, pattern: &str, next: Option<&Step>) -> bool {
        matches!(next, Some(Step::Key(name)) if self.name_at(pattern, name).is_some())
    }
}

/// Whether two names are one but for the convention that they are written in.
fn is_alike(one: &str, other: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = char> {
        let letters = name.trim_start_matches("r#").chars();
        letters.filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase)
    }
    letters(one).eq(letters(other))
}

#[derive(Debug, Default)]
struct Out {
    path: String,
    pattern: String,
}

impl Out {
    fn key(&mut self, key: &str) {
        push_key(&mut self.path, key);
        push_key(&mut self.pattern, key);
    }

    fn index(&mut self, index: &str) {
        self.path.push_str(&format!("[{index}]"));
        self.pattern.push_str("[]");
    }
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(String),
}

/// The steps of a path, which says them only to a serializer.
fn steps(path: &garde::Path) -> Vec<Step> {
    let listed = serde_json::to_value(path).and_then(serde_json::from_value);
    let steps: Vec<(String, String)> = listed.unwrap_or_default();
    let step = |(kind, name): (String, String)| match kind.as_str() {
        "key" => Some(Step::Key(name)),
        "index" => Some(Step::Index(name)),
        _ => None,
    };
    steps.into_iter().filter_map(step).collect()
}
