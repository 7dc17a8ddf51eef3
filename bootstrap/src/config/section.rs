//! A part of the configuration, to be read later.

use serde::de::DeserializeOwned;

use super::Config;
use crate::Result;

/// A handle to one section of the configuration. Nothing is read, and nothing can fail, until
/// [`get`](Self::get).
///
/// # Examples
/// ```
/// use polyport_bootstrap::config::{ConfigBuilder, Environment};
///
/// let config = ConfigBuilder::new(Environment::unittest(), "no/such/folder").build()?;
/// let section = config.section("grpc.port");
/// config.add(serde_json::json!({ "grpc": { "port": 7002 } }))?;
/// assert_eq!(section.get::<u16>()?, 7002);
/// # Ok::<(), polyport_bootstrap::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Section {
    config: Config,
    key: String,
}

impl Section {
    pub(super) fn new(config: Config, key: String) -> Self {
        Self { config, key }
    }

    /// The section's dotted key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The configuration that it is a section of.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The section's value.
    ///
    /// # Errors
    /// As [`Config::get`].
    #[track_caller]
    pub fn get<T: DeserializeOwned>(&self) -> Result<T> {
        self.config.get(&self.key)
    }

    /// The section's value, and `T::default()` where nothing is set.
    ///
    /// # Errors
    /// As [`Config::get_or_default`].
    #[track_caller]
    pub fn get_or_default<T: DeserializeOwned + Default>(&self) -> Result<T> {
        self.config.get_or_default(&self.key)
    }
}
