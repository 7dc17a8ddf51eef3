//! Families of instances: one for each entry of a section of the configuration, as Egg's
//! `app.addSingleton` makes them.

use std::{future::Future, marker::PhantomData};

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{
    Config, Error, Result,
    container::{Dependency, Key, Members, Resolver},
};

/// The members of one section.
pub(crate) struct ConfigFamily<T, S, F> {
    config: Config,
    section: String,
    build: F,
    of: PhantomData<fn(S) -> T>,
}

impl<T, S, F> ConfigFamily<T, S, F> {
    pub(crate) fn new(config: Config, section: String, build: F) -> Self {
        Self { config, section, build, of: PhantomData }
    }

    /// What every member needs.
    pub(crate) fn dependencies() -> Vec<Dependency> {
        vec![Dependency::required(Key::of::<Config>())]
    }

    /// A name is a part of a configuration key.
    fn check(&self, names: &[String]) -> Result<()> {
        let odd = names.iter().filter(|name| name.is_empty() || name.contains('.'));
        let errors = odd.map(|name| {
            let error = format!("{name:?} cannot be the name of an instance");
            Error::configuration(error)
                .context(self.clients())
                .advise("use a name without a dot that is not empty")
        });
        Error::all("names of instances do not fit", errors.collect())
    }

    fn clients(&self) -> String {
        format!("{}.clients", self.section)
    }
}

impl<T, S, F, Fut> Members for ConfigFamily<T, S, F>
where
    T: Send + Sync + 'static,
    S: DeserializeOwned + 'static,
    F: Fn(S, String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T>> + Send + 'static,
{
    type Member = T;

    /// Lays `default` below every member, so that its settings are read (and explained, and
    /// reported where they do not fit) as any other.
    fn names(&self) -> Result<Vec<String>> {
        let _table: Map<String, Value> = self.config.peek_or_default(&self.section)?;
        let default_key = format!("{}.default", self.section);
        let members: Map<String, Value> = self.config.peek_or_default(&self.clients())?;
        let default: Map<String, Value> = self.config.peek_or_default(&default_key)?;
        let names: Vec<String> = members.into_iter().map(|(name, _)| name).collect();
        self.check(&names)?;
        if !default.is_empty() && !names.is_empty() {
            let each: Map<String, Value> =
                names.iter().map(|name| (name.clone(), Value::Object(default.clone()))).collect();
            let mut below = json!({ "clients": each });
            for key in self.section.rsplit('.') {
                below = json!({ key: below });
            }
            self.config.add_lowest(default_key, below)?;
        }
        Ok(names)
    }

    fn remedy(&self, name: &str) -> String {
        format!("add it to the configuration: {}.{name}", self.clients())
    }

    fn build(&self, resolver: &Resolver<'_>, name: &str) -> BoxFuture<'static, Result<T>> {
        let settings = resolver
            .get::<Config>()
            .and_then(|config| config.get::<S>(&format!("{}.{name}", self.clients())));
        match settings {
            Ok(settings) => Box::pin((self.build)(settings, name.to_owned())),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}
