//! Which presets were applied, and the defaults that came of them.

use std::any::TypeId;

use serde::Serialize;

use crate::{
    Error, Result,
    config::{ConfigBuilder, Environment},
};

/// The presets of a bootstrap, while it is being put together.
#[derive(Default)]
pub(crate) struct Presets {
    applied: Vec<(TypeId, String)>,
    /// Those that are being applied, the innermost last.
    stack: Vec<String>,
    defaults: Vec<Defaults>,
    faults: Vec<Error>,
}

struct Defaults {
    owner: String,
    /// Where they hold; everywhere if it is not said.
    environment: Option<String>,
    values: serde_json::Value,
}

impl Presets {
    /// Notes that a preset is being applied; not where it has been before.
    pub(crate) fn begin<P: 'static>(&mut self, name: &str) -> bool {
        let type_id = TypeId::of::<P>();
        match self.applied.iter().find(|(_, known)| known == name) {
            None => {
                self.applied.push((type_id, name.to_owned()));
                self.stack.push(format!("preset {name}"));
                return true;
            }
            Some((known, _)) if *known == type_id => {}
            Some(_) => self.faults.push(
                Error::wiring(format!("two presets are named \"{name}\""))
                    .advise("rename one of them: a preset's name must be its own"),
            ),
        }
        false
    }

    pub(crate) fn end(&mut self) {
        self.stack.pop();
    }

    /// Who is adding to the bootstrap at this moment.
    pub(crate) fn owner(&self) -> String {
        self.stack.last().map_or("the bootstrap", String::as_str).to_owned()
    }

    pub(crate) fn add_defaults(&mut self, environment: Option<&str>, values: impl Serialize) {
        let owner = self.owner();
        match serde_json::to_value(values) {
            Ok(values) => {
                let environment = environment.map(str::to_owned);
                self.defaults.push(Defaults { owner, environment, values });
            }
            Err(error) => self.faults.push(
                Error::configuration("the values cannot be written as JSON")
                    .caused_by(error)
                    .context(format!("defaults of {owner}")),
            ),
        }
    }

    /// Adds all defaults that hold in `environment`.
    pub(super) fn configure(
        self,
        mut config: ConfigBuilder,
        environment: &Environment,
    ) -> Result<ConfigBuilder> {
        Error::all("presets do not fit together", self.faults)?;
        for Defaults { owner, environment: only, values } in self.defaults {
            config = match only {
                None => config.preset_defaults(owner, values),
                Some(only) if only == environment.as_str() => {
                    config.preset_environment_defaults(owner, values)
                }
                Some(_) => config,
            };
        }
        Ok(config)
    }
}
