//! Puts the layers together.

use std::{ffi::OsString, fmt, path::PathBuf};

use serde::Serialize;

use super::{
    Config, Environment, Layer, files,
    layers::{Entry, Layers, defaults_of},
    tree, variables,
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
    environment: Environment,
    root: PathBuf,
    config_dir: PathBuf,
    variables: Vec<(OsString, OsString)>,
    entries: Vec<Entry>,
    faults: Vec<Error>,
}

impl ConfigBuilder {
    /// A configuration for `environment` of the application whose folder is `root`.
    pub fn new(environment: Environment, root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let config_dir = root.join("config");
        let (variables, entries, faults) = (Vec::new(), Vec::new(), Vec::new());
        Self { environment, root, config_dir, variables, entries, faults }
    }

    /// The folder of the config files, `{root}/config` by default; a relative path is one below
    /// the root. It need not exist.
    #[must_use]
    pub fn config_dir(mut self, config_dir: impl Into<PathBuf>) -> Self {
        self.config_dir = self.root.join(config_dir.into());
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
        match tree::from_object(value) {
            Ok(value) => {
                let values = tree::nest(&tree::segments(key), value);
                self.entries.push(Entry::named(Layer::Override, source, values));
            }
            Err(error) => self.faults.push(error.context(source)),
        }
        self
    }

    fn defaults(mut self, layer: Layer, name: impl fmt::Display, value: impl Serialize) -> Self {
        let source = defaults_of(layer, name, &self.environment);
        match tree::table_from_object(value) {
            Ok(values) => self.entries.push(Entry::named(layer, source, values)),
            Err(error) => self.faults.push(error.context(source)),
        }
        self
    }

    /// Reads the files and merges the layers.
    ///
    /// # Errors
    /// All faults in one report: a file that cannot be read or parsed (with its line and column),
    /// two files for one layer, a variable that cannot be parsed or does not fit what it is laid
    /// over, a value that is not a table.
    pub fn build(mut self) -> Result<Config> {
        self.read_files();
        let (variables, faults) = variables::entries(std::mem::take(&mut self.variables));
        self.entries.extend(variables);
        self.faults.extend(faults);
        let default_file = self.default_file();
        let (layers, faults) = Layers::new(self.entries, default_file);
        self.faults.extend(faults);
        Error::all(format!("{} faults in the configuration", self.faults.len()), self.faults)?;
        Ok(Config::new(self.environment, self.root, self.config_dir, layers))
    }

    fn read_files(&mut self) {
        let environment = format!("config.{}", self.environment);
        for (layer, stem) in
            [(Layer::DefaultFile, "config.default"), (Layer::EnvironmentFile, &environment)]
        {
            match files::read_layer(layer, &self.root, &self.config_dir, stem) {
                Ok(entry) => self.entries.extend(entry),
                Err(fault) => self.faults.push(fault),
            }
        }
    }

    /// The file that people are told to set a value in.
    fn default_file(&self) -> String {
        let read = self.entries.iter().find(|entry| entry.layer == Layer::DefaultFile);
        let read = read.map(|entry| entry.origin::<&str>(&[]).source().to_owned());
        read.unwrap_or_else(|| {
            files::shown(&self.root, &self.config_dir.join("config.default.toml"))
        })
    }
}

/// Without values: they may be secrets.
impl fmt::Debug for ConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigBuilder")
            .field("environment", &self.environment)
            .field("root", &self.root)
            .field("config_dir", &self.config_dir)
            .finish_non_exhaustive()
    }
}
