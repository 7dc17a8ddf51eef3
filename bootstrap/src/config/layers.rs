//! The ordered layers and what they merge to.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    sync::Arc,
};

use figment::value::Value;

pub(super) use super::{
    entry::{Entry, Source, defaults_of},
    layer::Layer,
};
use super::{
    files::{self, Files},
    interpolation::{self, Cause, Interpolated, Part, Surroundings},
    provenance::{Origin, Provenance},
    secrets::{Pattern, Secrets},
    tree,
    will_load::WillLoad,
};
use crate::{Error, Result};

/// What layers are made on.
pub(super) struct Basis {
    pub(super) files: Files,
    pub(super) around: Surroundings,
    /// What the application is called where its configuration does not say.
    pub(super) name: String,
}

impl Basis {
    pub(super) fn new(files: Files, variables: BTreeMap<String, OsString>, name: String) -> Self {
        let root = std::path::absolute(&files.root).unwrap_or_else(|_| files.root.clone());
        let application = [
            ("name", name.clone()),
            ("root", root.display().to_string()),
            ("environment", files.environment.to_string()),
        ];
        let application = application.map(|(key, value)| (key.to_owned(), Value::from(value)));
        let application =
            tree::nest(&["app"], Value::from(figment::value::Dict::from(application)));
        Self { files, around: Surroundings { variables, application }, name }
    }

    /// Without files, variables and a folder.
    #[cfg(test)]
    pub(super) fn bare() -> Arc<Self> {
        let files = Files::new(super::Environment::unittest(), std::path::PathBuf::new());
        Arc::new(Self::new(files, BTreeMap::new(), "app".to_owned()))
    }
}

/// All entries from the lowest to the highest, and the tree that they merge to.
#[derive(Clone)]
pub(super) struct Layers {
    basis: Arc<Basis>,
    hooks: WillLoad,
    /// The secrets that types declare.
    declared: Secrets,
    entries: Vec<Arc<Entry>>,
    /// As it was written.
    raw: Value,
    /// With all texts filled in.
    filled: Interpolated,
}

impl Layers {
    /// Merges `entries`; the errors are those that a hook refuses, and the environment variables
    /// that do not fit.
    pub(super) fn new(
        entries: Vec<Entry>,
        hooks: WillLoad,
        basis: Arc<Basis>,
    ) -> (Self, Vec<Error>) {
        let empty = Self {
            filled: Interpolated::nothing(),
            raw: tree::empty(),
            declared: Secrets::default(),
            entries: Vec::new(),
            basis,
            hooks,
        };
        let (entries, mut refused) = empty.hooks.pass_all(entries);
        let (layers, errors) = empty.merge(entries.into_iter().map(Arc::new).collect());
        refused.extend(errors);
        (layers, refused)
    }

    /// As these layers, with `entry` as the highest of its layer.
    pub(super) fn with(&self, mut entry: Entry) -> Result<Self> {
        self.hooks.pass(&mut entry)?;
        let mut entries = self.entries.clone();
        entries.push(Arc::new(entry));
        let (layers, errors) = self.merge(entries);
        Error::all("environment variables do not fit the configuration", errors)?;
        Ok(layers)
    }

    /// As these layers, seen by `hooks`.
    pub(super) fn with_hooks(&self, hooks: WillLoad) -> Result<Self> {
        let layers = Self { hooks, ..self.clone() };
        let (entries, mut errors) = layers.hooks.pass_all(self.entries().cloned().collect());
        let (layers, unfit) = layers.merge(entries.into_iter().map(Arc::new).collect());
        errors.extend(unfit);
        Error::all("the configuration is refused", errors)?;
        Ok(layers)
    }

    /// As these layers, where what stands at these paths is a secret too.
    pub(super) fn with_secrets(self: &Arc<Self>, further: &BTreeSet<Pattern>) -> Arc<Self> {
        match self.declared.with(further) {
            Some(declared) => {
                let layers = Self { declared, ..Self::clone(self) };
                Arc::new(layers.merge(self.entries.clone()).0)
            }
            None => Arc::clone(self),
        }
    }

    /// As these layers, with nothing that could see another one.
    pub(super) fn without_hooks(&self) -> Self {
        Self { hooks: WillLoad::default(), ..self.clone() }
    }

    fn merge(&self, mut entries: Vec<Arc<Entry>>) -> (Self, Vec<Error>) {
        entries.sort_by_key(|entry| entry.layer);
        let (raw, filled) = (tree::empty(), Interpolated::nothing());
        let mut layers = Self { entries: Vec::new(), raw, filled, ..self.clone() };
        let mut errors = Vec::new();
        for entry in entries {
            match layers.conflict(&entry) {
                Some(error) => errors.push(error),
                None => {
                    tree::merge(&mut layers.raw, &entry.values);
                    layers.entries.push(entry);
                }
            }
        }
        let (around, secrets) = (&layers.basis.around, layers.declared.clone());
        layers.filled = interpolation::resolve(&layers.raw, around, secrets, layers.raw_texts());
        (layers, errors)
    }

    /// Why an environment variable cannot be laid over what is merged so far. All other layers
    /// may replace a table by a value and the other way round.
    fn conflict(&self, entry: &Entry) -> Option<Error> {
        let Source::Variable { name, .. } = &entry.source else {
            return None;
        };
        let at = clash(&self.raw, &entry.values)?;
        let (key, place) = (at.join("."), self.contributors(&at)?.0.source_place(&at));
        let below = tree::find(&self.raw, &at).map_or("nothing", tree::kind_of);
        let above = tree::find(&entry.values, &at).map_or("nothing", tree::kind_of);
        let error = format!("it sets {key} to {above}, which is {below} in {place}");
        Some(Error::configuration(error).context(format!("environment variable {name}")).advise(
            if below == tree::kind_of(&tree::empty()) {
                format!("name a key of the table, such as {name}__KEY, or remove the variable")
            } else {
                "remove the variable, or correct its name".to_owned()
            },
        ))
    }

    /// What environment variables say word for word, by the key that they set.
    fn raw_texts(&self) -> BTreeMap<Vec<String>, String> {
        let variables = self.entries().filter_map(|entry| Some((entry, entry.raw_text()?)));
        let winning = variables.filter(|(entry, (path, _))| {
            self.contributors(path).is_some_and(|(winner, _)| std::ptr::eq(winner, *entry))
        });
        winning.map(|(_, (path, raw))| (path.to_vec(), raw.to_owned())).collect()
    }

    /// What they were merged from, the lowest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(Arc::as_ref)
    }

    pub(super) fn basis(&self) -> &Arc<Basis> {
        &self.basis
    }

    pub(super) fn hooks(&self) -> &WillLoad {
        &self.hooks
    }

    /// The tree, with all texts filled in.
    pub(super) fn merged(&self) -> &Value {
        &self.filled.values
    }

    /// `app.name`, as it is configured or as it was said in code.
    pub(super) fn application_name(&self) -> String {
        let configured = self.find(&["app", "name"]).and_then(Value::as_str);
        configured.unwrap_or(&self.basis.name).to_owned()
    }

    /// The file that advice points to, as it is shown.
    pub(super) fn default_file(&self) -> String {
        let read = self.entries().find(|entry| {
            entry.layer == Layer::DefaultFile && matches!(entry.source, Source::File(_))
        });
        let Files { root, dir, .. } = &self.basis.files;
        read.map_or_else(
            || files::shown(root, &dir.join("config.default.toml")),
            Entry::source_name,
        )
    }

    pub(super) fn find<S: AsRef<str>>(&self, path: &[S]) -> Option<&Value> {
        tree::find(self.merged(), path)
    }

    /// The keys that hold secrets: those that types declare, and those whose values are made of
    /// secrets.
    pub(super) fn secrets(&self) -> &Secrets {
        &self.filled.secrets
    }

    /// Those, and `further` ones.
    pub(super) fn secrets_and(&self, further: &BTreeSet<Pattern>) -> Secrets {
        let known = self.secrets();
        known.with(further).unwrap_or_else(|| known.clone())
    }

    /// The value at `path` as it may be shown; null where nothing is set.
    pub(super) fn masked<S: AsRef<str>>(&self, path: &[S]) -> serde_json::Value {
        let value = self.find(path);
        value.map_or(serde_json::Value::Null, |value| self.secrets().masked(path, value))
    }

    /// Which entry the value at `path` is from, which ones had another for it (the highest
    /// first), and what it was made of.
    pub(super) fn explain<S: AsRef<str>>(&self, path: &[S]) -> Option<Provenance> {
        self.find(path)?;
        // Of a table that was filled in as a whole, no entry knows the keys.
        let written = (0..=path.len()).rev().map(|end| &path[..end]);
        let (at, (winner, losers)) =
            written.into_iter().find_map(|at| Some((at, self.contributors(at)?)))?;
        let origin = |entry: &Entry| -> Origin { entry.origin(at, self.secrets()) };
        let losers = losers.into_iter().map(origin).collect();
        Some(Provenance::new(joined(path), origin(winner), losers, self.made_of(at)))
    }

    fn contributors<S: AsRef<str>>(&self, path: &[S]) -> Option<(&Entry, Vec<&Entry>)> {
        let merged = tree::find(&self.raw, path)?;
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

    /// What the text at `path` was filled in with, each with its place.
    fn made_of<S: AsRef<str>>(&self, path: &[S]) -> Vec<String> {
        let path: Vec<_> = path.iter().map(|part| part.as_ref().to_owned()).collect();
        let parts = self.filled.parts.get(&path).into_iter().flatten();
        parts.map(|part| self.part(part)).collect()
    }

    fn part(&self, part: &Part) -> String {
        match part {
            Part::Variable(name) => format!("environment variable {name}"),
            Part::Fallback(target) => format!("what stands in for {target}"),
            Part::Key(key) => format!("{key} ({})", self.place_of(&tree::owned_segments(key))),
        }
    }

    /// Where the value at `path` is set, or the text that it was filled in with as a part of it.
    fn place_of(&self, path: &[String]) -> String {
        if self.find(path).is_none() {
            return "the application".to_owned();
        }
        let mut written = (0..=path.len()).rev().map(|end| &path[..end]);
        let place = written.find_map(|at| Some(self.contributors(at)?.0.source_place(at)));
        place.unwrap_or_default()
    }

    /// Whether the value at `path` is what it is meant to be.
    ///
    /// # Errors
    /// A text at, above or below `path` could not be filled in.
    pub(super) fn readable<S: AsRef<str>>(&self, path: &[S]) -> Result<()> {
        let concerned = |at: &[String]| at.iter().zip(path).all(|(at, path)| at == path.as_ref());
        let faults = self.filled.faults.iter().filter(|(at, _)| concerned(at));
        let causes: BTreeSet<_> = faults
            .map(|(at, cause)| match cause {
                Cause::Own(_) => at,
                Cause::Of(at) => at,
            })
            .collect();
        Error::all(
            format!("{} values of {} cannot be filled in", causes.len(), joined(path)),
            causes.into_iter().filter_map(|at| self.fault(at)).collect(),
        )
    }

    /// All that is wrong with the merged tree, whoever reads it.
    pub(super) fn faults(&self) -> Vec<Error> {
        let filled = self.filled.faults.keys().filter_map(|at| self.fault(at));
        filled.chain(self.fixed_keys()).collect()
    }

    /// The texts that could not be filled in.
    pub(super) fn unfilled(&self) -> BTreeSet<Vec<String>> {
        self.filled.faults.keys().cloned().collect()
    }

    /// What is wrong with the text at `path` itself, and where that stands.
    fn fault(&self, path: &[String]) -> Option<Error> {
        let Some(Cause::Own(error)) = self.filled.faults.get(path) else {
            return None;
        };
        let place = self.contributors(path).map(|(entry, _)| entry.place(path));
        Some(error.clone().context(place.unwrap_or_else(|| joined(path))))
    }

    /// Keys that say what is decided elsewhere.
    fn fixed_keys(&self) -> impl Iterator<Item = Error> {
        ["root", "environment"].into_iter().filter_map(|key| {
            let path = ["app".to_owned(), key.to_owned()];
            let (entry, _) = self.contributors(&path)?;
            let fixed = Error::configuration("it is decided before any configuration is read");
            let advice = "remove it; ${app.root} and ${app.environment} are there without";
            Some(fixed.context(entry.place(&path)).advise(advice))
        })
    }

    /// What an environment variable said word for word, if the value at `path` is its.
    pub(super) fn raw_variable(&self, at: &[String]) -> Option<&str> {
        self.filled.texts.get(at).map(String::as_str)
    }
}

fn joined<S: AsRef<str>>(path: &[S]) -> String {
    path.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(".")
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
