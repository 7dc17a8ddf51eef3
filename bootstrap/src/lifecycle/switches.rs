//! The section `modules`, which turns modules on and off by configuration alone.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Config, Error, Result, config::nearest};

/// The reserved section.
const SECTION: &str = "modules";

/// What the configuration says of one module.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    enabled: bool,
}

/// What the configuration says of modules.
pub(super) struct Switches(BTreeMap<String, Switch>);

impl Switches {
    /// Reads the section; each name in it must be one of `known`.
    pub(super) fn read(config: &Config, known: &[&str]) -> Result<Self> {
        let switches: BTreeMap<String, Switch> = config.get_or_default(SECTION)?;
        let unknown = switches.keys().filter(|name| !known.contains(&name.as_str()));
        let errors = unknown.map(|name| unknown_module(config, name, known)).collect();
        Error::all("the configuration names modules that there are not", errors)?;
        Ok(Self(switches))
    }

    /// Whether the module called `name` is on, where the configuration says so.
    pub(super) fn of(&self, name: &str) -> Option<bool> {
        self.0.get(name).map(|switch| switch.enabled)
    }

    /// The key that says it.
    pub(super) fn key(name: &str) -> String {
        format!("{SECTION}.{name}.enabled")
    }
}

fn unknown_module(config: &Config, name: &str, known: &[&str]) -> Error {
    let key = Switches::key(name);
    let place = config.explain(&key).map(|found| format!(" ({})", found.winner()));
    let near = nearest(name, known.iter().copied());
    let near = near.map(|near| format!("; the nearest is \"{near}\"")).unwrap_or_default();
    let known = match known {
        [] => "there are none".to_owned(),
        known => format!("modules are: {}", known.join(", ")),
    };
    Error::configuration(format!("there is no module \"{name}\"{near}"))
        .context(format!("configuration key {key}{}", place.unwrap_or_default()))
        .advise(format!("correct the name, or take the key out; {known}"))
}
