//! Overrides that nobody knows.

use std::collections::BTreeSet;

use super::{
    Config, Layer,
    layers::{Entry, Layers},
    nearest::nearest,
    tree,
};
use crate::{Error, Result};

/// Sections that are read in a way of their own.
const RESERVED: [&str; 2] = ["app", "modules"];

impl Config {
    /// Checks, at the end of the start, that somebody knows what is overridden: its section is
    /// declared or named like one of `modules`, another layer sets something in it, or it was read.
    /// A module that is off declares nothing, and what is said of it is no mistake.
    ///
    /// # Errors
    /// Each override that nobody knows, with the nearest key that somebody does.
    pub(crate) fn check_overrides<'a>(
        &self,
        modules: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        let layers = self.layers();
        let overrides = layers.entries().filter(|entry| entry.layer == Layer::Override);
        let overrides: Vec<_> = overrides.collect();
        if overrides.is_empty() {
            return Ok(());
        }
        let (mut sections, reads) = (self.known_sections(&layers), self.start_looks());
        sections.extend(modules.into_iter().map(str::to_owned));
        let unknown = overrides.into_iter().flat_map(|entry| {
            let paths = leaves(entry);
            let unknown = paths.into_iter().filter(|path| !is_known(path, &sections, &reads));
            unknown.map(|path| nobody_knows(entry, &path.join("."), &sections, &reads))
        });
        Error::all("nobody knows what is overridden", unknown.collect())
    }

    fn known_sections(&self, layers: &Layers) -> BTreeSet<String> {
        let declared = self.owned();
        let declared = declared.iter().map(|owned| owned.path.first().cloned().unwrap_or_default());
        let others = layers.entries().filter(|entry| entry.layer != Layer::Override);
        let others = others.flat_map(|entry| tree::keys(&entry.values)).cloned();
        let reserved = RESERVED.into_iter().map(str::to_owned);
        declared.chain(others).chain(reserved).collect()
    }
}

/// The keys that an override sets: what it was given as a table may be one of several sections.
fn leaves(entry: &Entry) -> Vec<Vec<String>> {
    let (mut open, mut found) = (vec![Vec::new()], Vec::new());
    while let Some(path) = open.pop() {
        let keys = tree::find(&entry.values, &path).map(tree::keys).unwrap_or_default();
        if keys.is_empty() {
            found.push(path);
            continue;
        }
        open.extend(keys.into_iter().map(|key| [&path[..], std::slice::from_ref(key)].concat()));
    }
    found
}

fn is_known(path: &[String], sections: &BTreeSet<String>, reads: &BTreeSet<String>) -> bool {
    let is_read =
        |read: &String| path.iter().zip(tree::segments(read)).all(|(own, read)| own == read);
    path.first().is_none_or(|section| sections.contains(section)) || reads.iter().any(is_read)
}

fn nobody_knows(
    entry: &Entry,
    key: &str,
    sections: &BTreeSet<String>,
    reads: &BTreeSet<String>,
) -> Error {
    let section = key.split('.').next().unwrap_or_default();
    let near = nearest(key, reads.iter().map(String::as_str));
    let near = near.or_else(|| nearest(section, sections.iter().map(String::as_str)));
    let near = near.map(|near| format!("; the nearest is {near}")).unwrap_or_default();
    Error::configuration(format!("nobody knows {key}{near}")).context(entry.source_name()).advise(
        "correct the key; one that is read only later belongs to a section that is declared, or has \
         a default",
    )
}
