//! What a bootstrap was told, and the configuration that comes of it.

use std::{ffi::OsString, path::PathBuf};

use super::{loaded::Loaded, modules::ModuleEntry, presets::Presets};
use crate::{
    Config, Error, HandedOver, Result,
    config::{ConfigBuilder, Environment, WillLoad},
    container::ContainerBuilder,
    framework::{CommandArgument, Witness},
    hooks::{HookFn, Hooks},
    operation::Pipelines,
    program,
};

/// Everything that a bootstrap was told.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) frameworks: Vec<Box<dyn Loaded>>,
    pub(crate) modules: Vec<ModuleEntry>,
    pub(crate) presets: Presets,
    pub(crate) config_will_load: WillLoad,
    pub(crate) before: Vec<HookFn>,
    pub(crate) hooks: Hooks,
    pub(crate) pipelines: Pipelines,
    pub(crate) options: Options,
}

impl Plan {
    /// What the frameworks add to the command line, in load order, each once.
    pub(crate) fn commands(&self) -> Vec<CommandArgument> {
        let mut commands: Vec<CommandArgument> = Vec::new();
        for command in self.frameworks.iter().flat_map(|framework| framework.commands()) {
            if commands.iter().all(|known| known.name != command.name) {
                commands.push(*command);
            }
        }
        commands
    }
}

/// What tests and `main` may change about a start.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) environment: Option<Environment>,
    pub(crate) root: Option<PathBuf>,
    /// Whether the root has to be there; tests name one that is not, to have no files.
    pub(crate) root_may_be_missing: bool,
    /// What the application is called unless its configuration says so.
    pub(crate) name: Option<String>,
    /// Environments that need no file.
    pub(crate) environments: Vec<String>,
    /// Config files that have to be there.
    pub(crate) required_files: Vec<String>,
    pub(crate) variables: Option<Vec<(OsString, OsString)>>,
    pub(crate) config: Vec<(String, serde_json::Value)>,
    pub(crate) overrides: Vec<Replace>,
    pub(crate) free_ports: bool,
    /// No socket is opened, and none connected to.
    pub(crate) in_memory: bool,
    /// The bootstrap owns the process: it sets up the log.
    pub(crate) owns_process: bool,
    /// Sockets that listen already.
    pub(crate) handed_over: HandedOver,
    /// The timeline of the start is printed.
    pub(crate) timeline: bool,
    /// Whoever watches over it.
    pub(crate) witness: Witness,
}

/// Replaces a provider.
pub(crate) type Replace = Box<dyn FnOnce(&mut ContainerBuilder) + Send>;

/// Stage 1: the environment, the base directory, files and variables.
pub(super) fn load_config(options: &mut Options, presets: Presets) -> Result<Config> {
    let variables = match options.variables.take() {
        Some(variables) => variables,
        None => std::env::vars_os().collect(),
    };
    legible(&variables)?;
    let text: Vec<_> = variables.iter().filter_map(as_text).collect();
    let environment = match options.environment.take() {
        Some(environment) => environment,
        None => Environment::from_variables(&text)?,
    };
    let root = match options.root.take() {
        Some(root) if !options.root_may_be_missing => existing(root)?,
        Some(root) => root,
        None => application_root(&text)?,
    };
    let mut builder = ConfigBuilder::new(environment.clone(), root)
        .variables(variables)
        .environments(std::mem::take(&mut options.environments))
        .require_files(std::mem::take(&mut options.required_files));
    if let Some(name) = options.name.take().or_else(program::name) {
        builder = builder.name(name);
    }
    if let Some(folder) = said(&text, CONFIG_DIR) {
        builder = builder.config_dir(folder);
    }
    let mut builder = presets.configure(builder, &environment)?;
    for (key, value) in options.config.drain(..) {
        builder = builder.override_value(&key, value);
    }
    builder.build()
}

/// The variable that says where the config files are.
const CONFIG_DIR: &str = "POLYPORT_CONFIG_DIR";
/// The variable that names the environment.
const ENVIRONMENT: &str = "POLYPORT_ENV";

fn said<'v>(variables: &'v [(String, String)], name: &str) -> Option<&'v str> {
    let (_, value) = variables.iter().find(|(known, _)| known == name)?;
    (!value.is_empty()).then_some(value)
}

fn existing(root: PathBuf) -> Result<PathBuf> {
    match root.is_dir() {
        true => Ok(root),
        false => Err(Error::configuration(format!("there is no folder {}", root.display()))
            .advise("correct what Bootstrap::root is given: it is the application's own folder")),
    }
}

/// What is not text names neither an environment nor a folder of ours; configuration that is not
/// text is reported where it is read.
/// What says which configuration is read must not be passed over.
fn legible(variables: &[(OsString, OsString)]) -> Result<()> {
    let deciding = |name: &OsString| *name == ENVIRONMENT || *name == CONFIG_DIR;
    let illegible =
        |(name, value): &&(OsString, OsString)| deciding(name) && value.to_str().is_none();
    match variables.iter().find(illegible) {
        Some((name, _)) => Err(Error::configuration("the value is not Unicode")
            .context(format!("environment variable {}", name.display()))),
        None => Ok(()),
    }
}

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
