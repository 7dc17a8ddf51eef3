//! Who has read what before the configuration was complete.

use std::{fmt, panic::Location};

use figment::value::Value;

use super::{layers::Layers, secrets::Secrets, tree};

/// The reads so far, each place and value once.
#[derive(Default)]
pub(super) struct Reads(Vec<Read>);

/// Who has read a value.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Reader {
    /// A call of `get`.
    Code(&'static Location<'static>),
    /// A `Settings` of this type.
    Settings(&'static str),
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(place) => write!(f, "{}:{}", place.file(), place.line()),
            Self::Settings(of) => write!(f, "Settings<{of}>"),
        }
    }
}

#[derive(PartialEq)]
struct Read {
    key: String,
    reader: Reader,
    value: Option<Value>,
    /// What was known as one then: the value may have been made of a secret, and be no more.
    secrets: Secrets,
}

impl Reads {
    pub(super) fn note(&mut self, key: &str, reader: Reader, layers: &Layers) {
        let (value, secrets) = (layers.find(&tree::segments(key)), layers.secrets().clone());
        let read = Read { key: key.to_owned(), reader, value: value.cloned(), secrets };
        if !self.0.contains(&read) {
            self.0.push(read);
        }
    }

    /// The keys, each once, in the order in which they were first read.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for Read { key, .. } in &self.0 {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        keys
    }

    /// Adds the reads of `later`.
    pub(super) fn extend(&mut self, later: Self) {
        let new: Vec<_> = later.0.into_iter().filter(|read| !self.0.contains(read)).collect();
        self.0.extend(new);
    }

    /// A sentence for each read whose value is another one in `layers`.
    pub(super) fn changed(&self, layers: &Layers) -> Vec<String> {
        self.0.iter().filter_map(|read| read.changed(layers)).collect()
    }
}

impl Read {
    fn changed(&self, layers: &Layers) -> Option<String> {
        let mut path: Vec<String> =
            tree::segments(&self.key).into_iter().map(str::to_owned).collect();
        let now = layers.find(&path);
        let (below, before, after) = tree::first_difference(self.value.as_ref(), now)?;
        path.extend(below);
        let secrets = layers.secrets_and(self.secrets.patterns());
        let show = |value: Option<&Value>| match value {
            Some(array @ Value::Array(..)) => secrets.masked(&path, array).to_string(),
            Some(value) => secrets.shown(&path, value),
            None => "unset".to_owned(),
        };
        let (key, reader) = (path.join("."), self.reader);
        let (before, after, culprit) = (show(before), show(after), culprit(layers, &path));
        Some(format!("{key} was {before} when {reader} read it, and is {after} since: {culprit}"))
    }
}

/// Who set the value at `path`, or what stands in its way.
fn culprit(layers: &Layers, path: &[String]) -> String {
    let nearest = (0..=path.len()).rev().find_map(|end| layers.explain(&path[..end]));
    nearest.map_or_else(|| "nobody".to_owned(), |provenance| provenance.winner().to_string())
}
