//! Puts the layers together.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::PathBuf, sync::Arc};

use figment::value::Value;
use serde::Serialize;

use super::{
    Config, Environment, Layer, LayerValues,
    files::Files,
    layers::{Basis, Entry, Layers, Source, defaults_of},
    tree, variables,
    will_load::WillLoad,
};
use crate::{Error, Result};

/// Collects the layers of a [`Config`] and reads its files.
///
/// It looks at nothing but the files below its folder: environment variables are given to it, so
/// that tests never touch those of their process. Whatever is wrong is reported by
/// [`build`](Self::build), all at once.
///
/// # Examples
/// ```
/// use polyport_bootstrap::config::{ConfigBuilder, Environment};
///
/// let config = ConfigBuilder::new(Environment::unittest(), ".")
///     .variables(std::env::vars_os())
///     .override_value("http.port", 0)
///     .build()?;
/// assert_eq!(config.get::<u16>("http.port")?, 0);
/// # Ok::<(), polyport_bootstrap::Error>(())
/// ```
pub struct ConfigBuilder {
    files: Files,
    name: String,
    variables: Vec<(OsString, OsString)>,
    /// Those whose entries are there already.
    known_variables: BTreeMap<String, OsString>,
    entries: Vec<Entry>,
    hooks: WillLoad,
    faults: Vec<Error>,
}

impl ConfigBuilder {
    /// A configuration for `environment` of the application whose folder is `root`.
    pub fn new(environment: Environment, root: impl Into<PathBuf>) -> Self {
        Self {
            files: Files::new(environment, root.into()),
            name: "app".to_owned(),
            variables: Vec::new(),
            known_variables: BTreeMap::new(),
            entries: Vec::new(),
            hooks: WillLoad::default(),
            faults: Vec::new(),
        }
    }

    /// What `config` was made of, but for its files: those are read again.
    pub(super) fn again(config: &Config) -> Self {
        let layers = config.layers();
        let kept = layers.entries().filter(|entry| !matches!(entry.source, Source::File(_)));
        let Basis { files, around, name } = &**layers.basis();
        Self {
            files: files.clone(),
            name: name.clone(),
            variables: Vec::new(),
            known_variables: around.variables.clone(),
            entries: kept.cloned().collect(),
            hooks: layers.hooks().clone(),
            faults: Vec::new(),
        }
    }

    /// Puts `values` in the place of what `source` has added in a before-hook.
    pub(super) fn replace(&mut self, source: &str, values: Value) {
        let from = |entry: &Entry| matches!(&entry.source, Source::Named(name) if name == source);
        let mut values = Some(values);
        self.entries.retain_mut(|entry| {
            let first = from(entry).then(|| values.take().map(|values| entry.replace(values)));
            first != Some(None)
        });
    }

    /// What the application is called where its configuration (`app.name`) does not say; `app` by
    /// default.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The folder of the config files; a relative path is one below the root. It has to be there.
    /// By default it is `{root}/config`, which need not be.
    #[must_use]
    pub fn config_dir(mut self, config_dir: impl Into<PathBuf>) -> Self {
        self.files.dir = self.files.root.join(config_dir.into());
        self.files.dir_is_given = true;
        self
    }

    /// Environments that need no file of their own, besides `local`, `unittest` and `prod`. One
    /// that is not declared and has no file is an error: its name may be misspelt.
    #[must_use]
    pub fn environments<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.files.declared.extend(names.into_iter().map(Into::into));
        self
    }

    /// Files that have to be there, by the middle of their names: `default`, and environments,
    /// whose files are looked for where the process runs in that environment.
    #[must_use]
    pub fn require_files<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.files.required.extend(names.into_iter().map(Into::into));
        self
    }

    /// Adds a hook that sees, and may change, the values of each source before they are merged.
    #[must_use]
    pub fn config_will_load(
        mut self,
        hook: impl Fn(&mut LayerValues<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.add("the bootstrap", hook);
        self
    }

    /// Environment variables, of which those that begin with `POLYPORT__` are used: `__`
    /// separates the parts of the key, which is in small letters, and values are written as in
    /// TOML (`7001`, `true`, `["a", "b"]`); what is none of that is text.
    #[must_use]
    pub fn variables<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        self.variables.extend(variables.map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// What the framework called `framework` brings along: a table of sections.
    #[must_use]
    pub fn framework_defaults(self, framework: impl fmt::Display, value: impl Serialize) -> Self {
        self.defaults(Layer::FrameworkDefaults, framework, value)
    }

    /// What the module called `module` brings along: a table of sections.
    #[must_use]
    pub fn module_defaults(self, module: impl fmt::Display, value: impl Serialize) -> Self {
        self.defaults(Layer::ModuleDefaults, module, value)
    }

    /// What the module called `module` brings along for this environment: a table of sections.
    #[must_use]
    pub fn module_environment_defaults(
        self,
        module: impl fmt::Display,
        value: impl Serialize,
    ) -> Self {
        self.defaults(Layer::ModuleEnvironmentDefaults, module, value)
    }

    /// What `preset` ("preset company", "the bootstrap") brings along: a table of sections.
    #[must_use]
    pub fn preset_defaults(self, preset: impl fmt::Display, value: impl Serialize) -> Self {
        self.defaults(Layer::PresetDefaults, preset, value)
    }

    /// What `preset` brings along for this environment: a table of sections.
    #[must_use]
    pub fn preset_environment_defaults(
        self,
        preset: impl fmt::Display,
        value: impl Serialize,
    ) -> Self {
        self.defaults(Layer::PresetEnvironmentDefaults, preset, value)
    }

    /// Sets the value at a dotted key above all layers, for tests.
    #[must_use]
    pub fn override_value(mut self, key: &str, value: impl Serialize) -> Self {
        let source = format!("override of {key}");
        let values = tree::from_object(value)
            .and_then(|value| tree::nest_checked(&tree::segments(key), value));
        match values {
            Ok(values) => self.entries.push(Entry::named(Layer::Override, source, values)),
            Err(error) => self.faults.push(error.context(source)),
        }
        self
    }

    fn defaults(mut self, layer: Layer, name: impl fmt::Display, value: impl Serialize) -> Self {
        let source = defaults_of(layer, name, &self.files.environment);
        match tree::table_from_object(value) {
            Ok(values) => self.entries.push(Entry::named(layer, source, values)),
            Err(error) => self.faults.push(error.context(source)),
        }
        self
    }

    /// Reads the files and merges the layers.
    ///
    /// # Errors
    /// All faults in one report: a file that cannot be read or parsed (with its line and column)
    /// or is required and not there, two files for one layer, an environment that nobody knows, a
    /// variable that cannot be parsed or does not fit what it is laid over, a value that is not a
    /// table, what a hook refuses. A text that cannot be filled in (`${…}`) is none yet: what it
    /// is made of may still be added.
    pub fn build(mut self) -> Result<Config> {
        let (files, faults) = self.files.read();
        self.entries.extend(files);
        self.faults.extend(faults);
        let (variables, faults) = variables::entries(&self.variables);
        self.entries.extend(variables);
        self.faults.extend(faults);
        let Files { environment, root, dir, .. } = self.files.clone();
        self.known_variables.extend(named(self.variables));
        let basis = Basis::new(self.files, self.known_variables, self.name);
        let (layers, faults) = Layers::new(self.entries, self.hooks, Arc::new(basis));
        self.faults.extend(faults);
        Error::all(format!("{} faults in the configuration", self.faults.len()), self.faults)?;
        Ok(Config::new(environment, root, dir, layers))
    }
}

/// The variables by their names; one whose name is not text cannot be asked for.
fn named(variables: Vec<(OsString, OsString)>) -> impl Iterator<Item = (String, OsString)> {
    let named = variables.into_iter();
    named.filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
}

/// Without values: they may be secrets.
impl fmt::Debug for ConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigBuilder").field("files", &self.files).finish_non_exhaustive()
    }
}
