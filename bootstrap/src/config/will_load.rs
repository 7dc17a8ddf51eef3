//! Hooks that see the values of each source before they are merged.

use std::{fmt, sync::Arc};

use figment::value::Value;
use serde::Serialize;
use serde_json::Value as Json;

use super::{Layer, layers::Entry, tree};
use crate::{Error, ErrorKind, Result, panics};

type Hook = Arc<dyn Fn(&mut LayerValues<'_>) -> Result<()> + Send + Sync>;

/// The `config_will_load` hooks of an application, in the order in which they are called.
#[derive(Clone, Default)]
pub(crate) struct WillLoad(Vec<(String, Hook)>);

impl WillLoad {
    /// Adds the hook of `owner`.
    pub(crate) fn add(
        &mut self,
        owner: impl Into<String>,
        hook: impl Fn(&mut LayerValues<'_>) -> Result<()> + Send + Sync + 'static,
    ) {
        self.0.push((owner.into(), Arc::new(hook)));
    }

    pub(crate) fn append(&mut self, mut later: Self) {
        self.0.append(&mut later.0);
    }

    /// Lets every hook see, and change, what an entry sets.
    pub(super) fn pass(&self, entry: &mut Entry) -> Result<()> {
        if self.0.is_empty() || entry.seen {
            return Ok(());
        }
        let before = entry.values.clone();
        for (owner, hook) in &self.0 {
            let called = panics::caught(|| hook(&mut LayerValues { entry }));
            called.map_err(|error| {
                let hook = format!("hook config_will_load of {owner}, {}", entry.source_name());
                error.or_kind(ErrorKind::Hook).context(hook)
            })?;
        }
        entry.changed_from(&before);
        entry.seen = true;
        Ok(())
    }

    /// As [`pass`](Self::pass), for several; those that a hook refuses are left out.
    pub(super) fn pass_all(&self, entries: Vec<Entry>) -> (Vec<Entry>, Vec<Error>) {
        let (mut passed, mut faults) = (Vec::new(), Vec::new());
        for mut entry in entries {
            match self.pass(&mut entry) {
                Ok(()) => passed.push(entry),
                Err(error) => faults.push(error),
            }
        }
        (passed, faults)
    }
}

/// Whose they are.
impl fmt::Debug for WillLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(owner, _)| owner)).finish()
    }
}

/// What one source sets (a file, one environment variable, the defaults of one module, what one
/// before-hook adds), before it is merged with the others: as it was written, nothing
/// interpolated, and with its secrets.
///
/// # Examples
/// ```
/// use polyport_bootstrap::Bootstrap;
///
/// fn decrypt(text: &str) -> polyport_bootstrap::Result<String> {
///     Ok(text.chars().rev().collect())
/// }
///
/// let bootstrap = Bootstrap::new().config_will_load(|values| {
///     values.map_strings(|_key, text| text.strip_prefix("encrypted:").map(decrypt).transpose())
/// });
/// ```
pub struct LayerValues<'a> {
    entry: &'a mut Entry,
}

impl LayerValues<'_> {
    /// The layer that the source belongs to.
    #[must_use]
    pub fn layer(&self) -> Layer {
        self.entry.layer
    }

    /// The source: `config/config.default.toml`, `environment variable POLYPORT__HTTP__PORT`,
    /// `remote: config center`.
    #[must_use]
    pub fn source(&self) -> String {
        self.entry.source_name()
    }

    /// What this source sets at the dotted `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Json> {
        let value = tree::find(&self.entry.values, &tree::segments(key))?;
        serde_json::to_value(value).ok()
    }

    /// Lets this source set the value at the dotted `key`. A table on the way to it is made where
    /// there is none.
    ///
    /// # Errors
    /// The value cannot be serialised, or what stands on the way to the key is not a table.
    pub fn set(&mut self, key: &str, value: impl Serialize) -> Result<()> {
        let path = tree::owned_segments(key);
        let set = tree::from_object(value)
            .and_then(|value| tree::set(&mut self.entry.values, &path, value));
        set.map_err(|error| error.context(self.entry.place(&path)))
    }

    /// Lets this source say nothing about the dotted `key`; returns what it said.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let removed = tree::remove(&mut self.entry.values, &tree::segments(key))?;
        serde_json::to_value(removed).ok()
    }

    /// Replaces each text by what `map` makes of it; `None` leaves it. Numbers, booleans and the
    /// keys themselves are not asked for.
    ///
    /// The new text is interpolated like any other; [`literal`](super::literal) keeps it from
    /// being so.
    ///
    /// # Errors
    /// What `map` returns, with the source, line and key of the text; all of them in one report.
    pub fn map_strings(
        &mut self,
        mut map: impl FnMut(&str, &str) -> Result<Option<String>>,
    ) -> Result<()> {
        let mut found = Vec::new();
        texts(&self.entry.values, &mut Vec::new(), &mut found);
        let mut errors = Vec::new();
        for (path, text) in found {
            match map(&path.join("."), &text) {
                Ok(Some(text)) => {
                    if let Some(slot) = tree::find_mut(&mut self.entry.values, &path) {
                        *slot = Value::from(text);
                    }
                }
                Ok(None) => {}
                Err(error) => errors.push(error.context(self.entry.place(&path))),
            }
        }
        Error::all("values are refused", errors)
    }
}

/// Without values: they may be secrets.
impl fmt::Debug for LayerValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerValues")
            .field("layer", &self.layer())
            .field("source", &self.source())
            .finish_non_exhaustive()
    }
}

fn texts(value: &Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    let mut child = |key: &str, value: &Value| {
        path.push(key.to_owned());
        texts(value, path, found);
        path.pop();
    };
    match value {
        Value::String(_, text) => found.push((path.clone(), text.clone())),
        Value::Dict(_, table) => table.iter().for_each(|(key, value)| child(key, value)),
        Value::Array(_, items) => {
            items.iter().enumerate().for_each(|(index, item)| child(&index.to_string(), item));
        }
        _ => {}
    }
}
