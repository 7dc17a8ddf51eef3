//! One contribution to a layer.

use std::fmt;

use figment::value::Value;

use super::{Environment, Layer, Origin, files::SourceFile, secrets::Secrets, tree};

/// What brought the values of an entry.
#[derive(Clone)]
pub(super) enum Source {
    Named(String),
    File(SourceFile),
    /// `raw` is what the variable says word for word, unless a hook has changed it.
    Variable {
        name: String,
        raw: Option<String>,
        path: Vec<String>,
    },
}

/// What one source sets.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) layer: Layer,
    pub(super) source: Source,
    pub(super) values: Value,
    /// Whether the `config_will_load` hooks have seen it.
    pub(super) seen: bool,
}

impl Entry {
    pub(super) fn new(layer: Layer, source: Source, values: Value) -> Self {
        Self { layer, source, values, seen: false }
    }

    pub(super) fn named(layer: Layer, source: impl Into<String>, values: Value) -> Self {
        Self::new(layer, Source::Named(source.into()), values)
    }

    /// The source, as people are shown it.
    pub(super) fn source_name(&self) -> String {
        match &self.source {
            Source::Named(name) => name.clone(),
            Source::File(file) => file.shown().to_owned(),
            Source::Variable { name, .. } => format!("environment variable {name}"),
        }
    }

    /// Where this entry sets `path`: `config/config.default.toml:3`.
    pub(super) fn source_place(&self, path: &[String]) -> String {
        let line = self.line_of(path).map_or(String::new(), |line| format!(":{line}"));
        format!("{}{line}", self.source_name())
    }

    /// That, and the key: `config/config.default.toml:3, key http.port`.
    pub(super) fn place(&self, path: &[String]) -> String {
        format!("{}, key {}", self.source_place(path), path.join("."))
    }

    /// What this entry sets at `path`, as it may be shown.
    pub(super) fn origin<S: AsRef<str>>(&self, path: &[S], secrets: &Secrets) -> Origin {
        let value = tree::find(&self.values, path);
        let value = value.map_or(serde_json::Value::Null, |value| secrets.masked(path, value));
        Origin::new(self.layer, self.source_name(), self.line_of(path), value)
    }

    /// What an environment variable says word for word where its value is not text.
    pub(super) fn raw_text(&self) -> Option<(&[String], &str)> {
        let Source::Variable { raw: Some(raw), path, .. } = &self.source else {
            return None;
        };
        let is_text = tree::find(&self.values, path)?.as_str().is_some();
        (!is_text && !raw.contains("${")).then_some((path, raw))
    }

    /// Lets this entry set other values, which no hook has seen yet.
    pub(super) fn replace(&mut self, values: Value) {
        self.values = values;
        self.seen = false;
    }

    /// Notes that a hook has set other values than those `before`.
    pub(super) fn changed_from(&mut self, before: &Value) {
        if let Source::Variable { raw, .. } = &mut self.source
            && self.values != *before
        {
            *raw = None;
        }
    }

    fn line_of<S: AsRef<str>>(&self, path: &[S]) -> Option<usize> {
        match &self.source {
            Source::File(file) => file.line_of(path),
            Source::Named(_) | Source::Variable { .. } => None,
        }
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
