//! The section `middleware`: which middleware stands where, and in which order.

use std::{collections::HashMap, fmt, sync::Arc};

use garde::{Path, Report, Validate};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::{Band, Stage, StageKind, options::Rule};
use crate::{
    Error, Result,
    config::{Config, SettingsSection, nearest},
    operation::Exposure,
};

const ORDER: &str = "order";

/// The section `middleware`: in which order middleware stands, and below its name what is said of
/// each (`docs/middleware.md`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MiddlewareSettings {
    order: Order,
    /// The names of the tables in it.
    tables: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Order {
    core: Vec<String>,
    application: Vec<String>,
}

impl SettingsSection for MiddlewareSettings {
    const KEY: &'static str = "middleware";
}

impl Validate for MiddlewareSettings {
    type Context = ();

    fn validate_into(&self, (): &(), parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        for (band, names) in [("core", &self.order.core), ("application", &self.order.application)]
        {
            for (position, name) in names.iter().enumerate() {
                if names[..position].contains(name) {
                    let path = parent().join(ORDER).join(band).join(position);
                    report.append(path, garde::Error::new("stands there twice"));
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for MiddlewareSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Tables;

        impl<'de> Visitor<'de> for Tables {
            type Value = MiddlewareSettings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<MiddlewareSettings, A::Error> {
                let mut settings = MiddlewareSettings::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == ORDER {
                        settings.order = map.next_value()?;
                    } else {
                        map.next_value::<serde_json::Value>()?;
                        settings.tables.push(key);
                    }
                }
                Ok(settings)
            }
        }

        deserializer.deserialize_map(Tables)
    }
}

/// What the configuration says of the middleware of one bootstrap.
pub(super) struct Rules {
    config: Config,
    settings: MiddlewareSettings,
    /// By the address of the stage's table.
    rules: HashMap<usize, Rule>,
}

impl Rules {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let settings = config.peek_or_default(MiddlewareSettings::KEY)?;
        Ok(Self { config: config.clone(), settings, rules: HashMap::new() })
    }

    /// Reads what is said of these stages.
    pub(super) fn learn<'s>(&mut self, stages: impl Iterator<Item = &'s Stage>) -> Result<()> {
        let mut errors = Vec::new();
        for stage in stages {
            let Some(address) = address(stage) else { continue };
            let Some(table) = stage.table.as_ref() else { continue };
            if self.rules.contains_key(&address) {
                continue;
            }
            match table.configure(&self.config, stage.name()) {
                Ok(rule) => drop(self.rules.insert(address, rule)),
                Err(error) => errors.push(error),
            }
        }
        Error::all("middleware is configured wrongly", errors)
    }

    /// Whether the stage stands around this operation.
    pub(super) fn admits(&self, stage: &Stage, exposure: &Exposure) -> bool {
        self.of(stage).is_none_or(|rule| rule.admits(exposure))
    }

    pub(super) fn of(&self, stage: &Stage) -> Option<&Rule> {
        address(stage).and_then(|address| self.rules.get(&address))
    }

    /// Its place among the middleware of its band; those that are not named follow.
    pub(super) fn position(&self, stage: &Stage) -> usize {
        let StageKind::Middleware(band) = stage.kind() else { return 0 };
        let order = self.order(band);
        order.iter().position(|name| name == stage.name()).unwrap_or(order.len())
    }

    fn order(&self, band: Band) -> &[String] {
        match band {
            Band::Core => &self.settings.order.core,
            Band::Application => &self.settings.order.application,
        }
    }

    /// Finds the names that no middleware has.
    pub(super) fn check_names(&self, known: &[(Arc<str>, Band)]) -> Result<()> {
        let tables = self.settings.tables.iter().filter(|name| !has(known, name, None));
        let tables = tables.map(|name| self.unknown(&format!("middleware.{name}"), name, known));
        let bands = [(Band::Core, "core"), (Band::Application, "application")];
        let order = bands.into_iter().flat_map(|(band, key)| {
            let names = self.order(band).iter().enumerate();
            let unknown = names.filter(move |(_, name)| !has(known, name, Some(band)));
            unknown.map(move |(position, name)| {
                let key = format!("middleware.order.{key}.{position}");
                match has(known, name, None) {
                    true => self.misplaced(&key, name),
                    false => self.unknown(&key, name, known),
                }
            })
        });
        Error::all("middleware is configured wrongly", tables.chain(order).collect())
    }

    fn unknown(&self, key: &str, name: &str, known: &[(Arc<str>, Band)]) -> Error {
        let names: Vec<&str> = known.iter().map(|(name, _)| &**name).collect();
        let near = nearest(name, names.iter().copied());
        let near = near.map(|near| format!("; the nearest is {near}")).unwrap_or_default();
        let message = format!("no middleware is called {name}{near}");
        let error = Error::configuration(message).context(self.place(key));
        error.advise(format!("name one of {}", names.join(", ")))
    }

    fn misplaced(&self, key: &str, name: &str) -> Error {
        Error::configuration(format!("the middleware {name} stands in the other band"))
            .context(self.place(key))
            .advise("move it to the other list: a middleware's band is said where it is added")
    }

    fn place(&self, key: &str) -> String {
        match self.config.explain(key) {
            Some(place) => format!("{}, key {key}", place.winner()),
            None => format!("key {key}"),
        }
    }
}

fn has(known: &[(Arc<str>, Band)], name: &str, band: Option<Band>) -> bool {
    known.iter().any(|(known, of)| **known == *name && band.is_none_or(|band| band == *of))
}

fn address(stage: &Stage) -> Option<usize> {
    stage.table.as_ref().map(|table| Arc::as_ptr(table).addr())
}
