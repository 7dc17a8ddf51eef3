//! The ordered layers and what they merge to.

use std::{fmt, sync::Arc};

use figment::value::Value;

use super::{
    Environment,
    files::SourceFile,
    mask,
    provenance::{Origin, Provenance},
    tree,
};
use crate::{Error, Result};

/// Where in the order a value comes from; a later variant wins over an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// What a framework brings along.
    FrameworkDefaults,
    /// What a module brings along.
    ModuleDefaults,
    /// What a preset brings along, or the bootstrap itself.
    PresetDefaults,
    /// `config.default.toml`, `.yaml`, `.yml` or `.json`.
    DefaultFile,
    /// What a module brings along for this environment.
    ModuleEnvironmentDefaults,
    /// What a preset brings along for this environment, or the bootstrap itself.
    PresetEnvironmentDefaults,
    /// `config.{environment}.toml`, `.yaml`, `.yml` or `.json`.
    EnvironmentFile,
    /// What `before` hooks add.
    Hook,
    /// Environment variables such as `POLYPORT__HTTP__PORT`.
    Variable,
    /// Overrides, for tests.
    Override,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FrameworkDefaults => "framework defaults",
            Self::ModuleDefaults => "module defaults",
            Self::PresetDefaults => "preset defaults",
            Self::DefaultFile => "default file",
            Self::ModuleEnvironmentDefaults => "module defaults for the environment",
            Self::PresetEnvironmentDefaults => "preset defaults for the environment",
            Self::EnvironmentFile => "environment file",
            Self::Hook => "before-hook",
            Self::Variable => "environment variable",
            Self::Override => "override",
        })
    }
}

/// What brought the values of an entry.
#[derive(Clone)]
pub(super) enum Source {
    Named(String),
    File(SourceFile),
    Variable { name: String, raw: String, path: Vec<String> },
}

/// One contribution to a layer.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) layer: Layer,
    pub(super) source: Source,
    pub(super) values: Value,
}

impl Entry {
    pub(super) fn named(layer: Layer, source: impl Into<String>, values: Value) -> Self {
        Self { layer, source: Source::Named(source.into()), values }
    }

    pub(super) fn origin<S: AsRef<str>>(&self, path: &[S]) -> Origin {
        let secret = mask::is_secret_path(path);
        let value = tree::find(&self.values, path);
        let value = value.map_or(serde_json::Value::Null, |value| mask::masked(value, secret));
        let (source, line) = match &self.source {
            Source::Named(name) => (name.clone(), None),
            Source::File(file) => (file.shown().to_owned(), file.line_of(path)),
            Source::Variable { name, .. } => (format!("environment variable {name}"), None),
        };
        Origin::new(self.layer, source, line, value)
    }
}

/// All entries from the lowest to the highest, and the tree that they merge to.
#[derive(Clone)]
pub(super) struct Layers {
    entries: Vec<Arc<Entry>>,
    merged: Value,
    /// The file that advice points to, as it is shown.
    default_file: String,
}

impl Layers {
    /// Merges `entries`; the errors are the environment variables that do not fit.
    pub(super) fn new(entries: Vec<Entry>, default_file: String) -> (Self, Vec<Error>) {
        let entries = entries.into_iter().map(Arc::new).collect();
        Self::merge(entries, default_file)
    }

    /// As these layers, with `entry` as the highest of its layer.
    pub(super) fn with(&self, entry: Entry) -> Result<Self> {
        let mut entries = self.entries.clone();
        entries.push(Arc::new(entry));
        let (layers, errors) = Self::merge(entries, self.default_file.clone());
        Error::all("environment variables do not fit the configuration", errors)?;
        Ok(layers)
    }

    fn merge(mut entries: Vec<Arc<Entry>>, default_file: String) -> (Self, Vec<Error>) {
        entries.sort_by_key(|entry| entry.layer);
        let mut layers = Self { entries: Vec::new(), merged: tree::empty(), default_file };
        let mut errors = Vec::new();
        for entry in entries {
            match layers.conflict(&entry) {
                Some(error) => errors.push(error),
                None => {
                    tree::merge(&mut layers.merged, &entry.values);
                    layers.entries.push(entry);
                }
            }
        }
        (layers, errors)
    }

    /// Why an environment variable cannot be laid over what is merged so far. All other layers
    /// may replace a table by a value and the other way round.
    fn conflict(&self, entry: &Entry) -> Option<Error> {
        let Source::Variable { name, .. } = &entry.source else {
            return None;
        };
        let at = clash(&self.merged, &entry.values)?;
        let (key, place) = (at.join("."), self.explain(&at)?);
        let below = self.find(&at).map_or("nothing", tree::kind_of);
        let above = tree::find(&entry.values, &at).map_or("nothing", tree::kind_of);
        let error = format!("it sets {key} to {above}, which is {below} in {}", place.winner());
        Some(Error::configuration(error).context(format!("environment variable {name}")).advise(
            if below == tree::kind_of(&tree::empty()) {
                format!("name a key of the table, such as {name}__KEY, or remove the variable")
            } else {
                "remove the variable, or correct its name".to_owned()
            },
        ))
    }

    pub(super) fn merged(&self) -> &Value {
        &self.merged
    }

    pub(super) fn default_file(&self) -> &str {
        &self.default_file
    }

    pub(super) fn find<S: AsRef<str>>(&self, path: &[S]) -> Option<&Value> {
        tree::find(&self.merged, path)
    }

    /// Which entry the value at `path` is from, and which ones had another for it (the highest
    /// first).
    pub(super) fn explain<S: AsRef<str>>(&self, path: &[S]) -> Option<Provenance> {
        let (winner, losers) = self.contributors(path)?;
        let origin = |entry: &&Entry| entry.origin(path);
        let key = path.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(".");
        Some(Provenance::new(key, winner.origin(path), losers.iter().map(origin).collect()))
    }

    fn contributors<S: AsRef<str>>(&self, path: &[S]) -> Option<(&Entry, Vec<&Entry>)> {
        let merged = self.find(path)?;
        let mut says: Vec<_> = self
            .entries
            .iter()
            .rev()
            .map(Arc::as_ref)
            .filter_map(|entry| Some((entry, tree::find(&entry.values, path)?)))
            .collect();
        let wins = |value: &Value| !(tree::is_null(value) && tree::is_table(merged));
        let winner = says.iter().position(|(_, value)| wins(value))?;
        let winner = says.remove(winner).0;
        Some((winner, says.into_iter().map(|(entry, _)| entry).collect()))
    }

    /// What an environment variable said word for word, if the value at `path` is its.
    pub(super) fn raw_variable(&self, at: &[String]) -> Option<&str> {
        match &self.contributors(at)?.0.source {
            Source::Variable { raw, path, .. } if path == at => Some(raw),
            _ => None,
        }
    }
}

/// The path at which one tree has a table and the other something else.
fn clash(below: &Value, above: &Value) -> Option<Vec<String>> {
    match (below, above) {
        (Value::Dict(_, below), Value::Dict(_, above)) => above.iter().find_map(|(key, value)| {
            let mut path = clash(below.get(key)?, value)?;
            path.insert(0, key.clone());
            Some(path)
        }),
        (Value::Empty(..), _) | (_, Value::Empty(..)) => None,
        _ => (tree::is_table(below) != tree::is_table(above)).then(Vec::new),
    }
}

/// How what frameworks, modules and presets bring along is called; the name of a preset says that
/// it is one.
pub(super) fn defaults_of(
    layer: Layer,
    name: impl fmt::Display,
    environment: &Environment,
) -> String {
    match layer {
        Layer::FrameworkDefaults => format!("defaults of framework {name}"),
        Layer::ModuleEnvironmentDefaults => {
            format!("defaults of module {name} for {environment}")
        }
        Layer::PresetDefaults => format!("defaults of {name}"),
        Layer::PresetEnvironmentDefaults => format!("defaults of {name} for {environment}"),
        _ => format!("defaults of module {name}"),
    }
}
