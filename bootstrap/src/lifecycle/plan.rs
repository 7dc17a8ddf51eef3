//! What a bootstrap was told, and the configuration that comes of it.

use std::{ffi::OsString, path::PathBuf};

use super::{loaded::Loaded, modules::ModuleEntry, presets::Presets};
use crate::{
    Config, Error, HandedOver, Result,
    config::{ConfigBuilder, Environment},
    container::ContainerBuilder,
    hooks::{HookFn, Hooks},
};

/// Everything that a bootstrap was told.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) frameworks: Vec<Box<dyn Loaded>>,
    pub(crate) modules: Vec<ModuleEntry>,
    pub(crate) presets: Presets,
    pub(crate) before: Vec<HookFn>,
    pub(crate) hooks: Hooks,
    pub(crate) options: Options,
}

/// What tests and `main` may change about a start.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) environment: Option<Environment>,
    pub(crate) root: Option<PathBuf>,
    pub(crate) variables: Option<Vec<(OsString, OsString)>>,
    pub(crate) config: Vec<(String, serde_json::Value)>,
    pub(crate) overrides: Vec<Replace>,
    pub(crate) free_ports: bool,
    /// The bootstrap owns the process: it sets up the log.
    pub(crate) owns_process: bool,
    /// Sockets that listen already.
    pub(crate) handed_over: HandedOver,
    /// The timeline of the start is printed.
    pub(crate) timeline: bool,
}

/// Replaces a provider.
pub(crate) type Replace = Box<dyn FnOnce(&mut ContainerBuilder) + Send>;

/// Stage 1: the environment, the base directory, files and variables.
pub(super) fn load_config(options: &mut Options, presets: Presets) -> Result<Config> {
    let variables = match options.variables.take() {
        Some(variables) => variables,
        None => std::env::vars_os().collect(),
    };
    let text: Vec<_> = variables.iter().filter_map(as_text).collect();
    let environment = match options.environment.take() {
        Some(environment) => environment,
        None => Environment::from_variables(&text)?,
    };
    let root = match options.root.take() {
        Some(root) => root,
        None => application_root(&text)?,
    };
    let builder = ConfigBuilder::new(environment.clone(), root).variables(variables);
    let mut builder = presets.configure(builder, &environment)?;
    for (key, value) in options.config.drain(..) {
        builder = builder.override_value(&key, value);
    }
    builder.build()
}

/// What is not text names neither an environment nor a folder of ours; configuration that is not
/// text is reported where it is read.
fn as_text((name, value): &(OsString, OsString)) -> Option<(String, String)> {
    Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
}

/// The working directory if it has a `config` folder; else the package that cargo runs, where it
/// does.
fn application_root(variables: &[(String, String)]) -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(|error| {
        Error::configuration("the working directory cannot be read").caused_by(error)
    })?;
    if here.join("config").is_dir() {
        return Ok(here);
    }
    let package = variables.iter().find(|(name, _)| name == "CARGO_MANIFEST_DIR");
    Ok(package.map_or(here, |(_, directory)| directory.into()))
}
