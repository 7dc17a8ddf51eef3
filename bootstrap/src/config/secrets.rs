//! Which values are secrets: by their keys' names, and by the types that they are read as.

use std::{collections::BTreeSet, sync::Arc};

use figment::value::Value;
use serde_json::Value as Json;

use super::mask;

/// A part of a path; `None` stands for any index of an array, and any key of a map.
pub(super) type Pattern = Vec<Option<String>>;

/// The paths at which a type says that it is a [`Secret`](super::Secret).
#[derive(Clone, Default, PartialEq)]
pub(super) struct Secrets(Arc<BTreeSet<Pattern>>);

impl Secrets {
    /// These and `further` ones; `None` where all of those are known.
    pub(super) fn with(&self, further: &BTreeSet<Pattern>) -> Option<Self> {
        let new = !further.is_subset(&self.0);
        new.then(|| Self(Arc::new(self.0.union(further).cloned().collect())))
    }

    pub(super) fn patterns(&self) -> &BTreeSet<Pattern> {
        &self.0
    }

    /// Whether what stands at `path` is a secret, or a part of one.
    pub(super) fn cover<S: AsRef<str>>(&self, path: &[S]) -> bool {
        mask::is_secret_path(path) || self.0.iter().any(|pattern| leads_to(pattern, path))
    }

    /// The value at `path` as it may be shown.
    pub(super) fn masked<S: AsRef<str>>(&self, path: &[S], value: &Value) -> Json {
        self.masked_below(&mut owned(path), value)
    }

    /// The value at `path` in one line of a report.
    pub(super) fn shown<S: AsRef<str>>(&self, path: &[S], value: &Value) -> String {
        mask::shown(value, self.cover(path))
    }

    /// `text`, somebody else's message, without the secrets in the value at `path`.
    pub(super) fn scrub<S: AsRef<str>>(&self, text: String, path: &[S], value: &Value) -> String {
        self.scrub_below(text, &mut owned(path), value)
    }

    fn masked_below(&self, path: &mut Vec<String>, value: &Value) -> Json {
        match value {
            Value::Dict(_, table) => {
                let fields = table.iter().map(|(key, value)| {
                    let value = below(path, key, |path| self.masked_below(path, value));
                    (key.clone(), value)
                });
                Json::Object(fields.collect())
            }
            Value::Array(_, items) => items
                .iter()
                .enumerate()
                .map(|(at, item)| {
                    below(path, &at.to_string(), |path| self.masked_below(path, item))
                })
                .collect(),
            scalar => mask::masked(scalar, self.cover(path)),
        }
    }

    fn scrub_below(&self, text: String, path: &mut Vec<String>, value: &Value) -> String {
        match value {
            Value::Dict(_, table) => table.iter().fold(text, |text, (key, value)| {
                below(path, key, |path| self.scrub_below(text, path, value))
            }),
            Value::Array(_, items) => items.iter().enumerate().fold(text, |text, (at, item)| {
                below(path, &at.to_string(), |path| self.scrub_below(text, path, item))
            }),
            scalar => mask::scrub(text, scalar, self.cover(path)),
        }
    }
}

fn owned<S: AsRef<str>>(path: &[S]) -> Vec<String> {
    path.iter().map(|segment| segment.as_ref().to_owned()).collect()
}

fn below<T>(path: &mut Vec<String>, key: &str, look: impl FnOnce(&mut Vec<String>) -> T) -> T {
    path.push(key.to_owned());
    let answer = look(path);
    path.pop();
    answer
}

fn leads_to<S: AsRef<str>>(pattern: &Pattern, path: &[S]) -> bool {
    pattern.len() <= path.len()
        && pattern.iter().zip(path).all(|(pattern, segment)| {
            pattern.as_ref().is_none_or(|pattern| pattern == segment.as_ref())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_its_path_and_what_lies_below() {
        let pattern = vec![Some("users".to_owned()), None, Some("pin".to_owned())];
        let secrets = Secrets::default().with(&[pattern].into()).unwrap();
        for path in [&["users", "0", "pin"][..], &["users", "tom", "pin", "x"]] {
            assert!(secrets.cover(path), "{path:?}");
        }
        for path in [&["users", "0"][..], &["users", "0", "name"], &["other", "0", "pin"], &[]] {
            assert!(!secrets.cover(path), "{path:?}");
        }
        assert!(secrets.cover(&["db", "password"]), "by its name");
    }
}
