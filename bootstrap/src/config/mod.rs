//! Configuration in layers, in which every value knows where it came from.
//!
//! From the lowest layer to the highest (see [`Layer`]): what frameworks and modules bring along,
//! `config.default.*`, what modules bring along for the environment, `config.{environment}.*`,
//! what `before` hooks add, environment variables (`POLYPORT__HTTP__PORT=7001`) and overrides for
//! tests. Files are TOML, YAML or JSON. Tables merge deeply; arrays and scalars are replaced.
//!
//! A value is changed only while the process starts: once the `before` hooks have run the
//! configuration is complete, and every read is one of an immutable tree.
//!
//! # Examples
//! ```
//! use polyport_bootstrap::config::{ConfigBuilder, Environment};
//! use serde_json::json;
//!
//! let config = ConfigBuilder::new(Environment::unittest(), "no/such/folder")
//!     .framework_defaults("http", json!({ "http": { "host": "127.0.0.1", "port": 7001 } }))
//!     .variables([("POLYPORT__HTTP__PORT", "8080")])
//!     .build()?;
//! assert_eq!(config.get::<u16>("http.port")?, 8080);
//! config.add_from("remote: config center", json!({ "http": { "host": "0.0.0.0" } }))?;
//! assert_eq!(config.get::<String>("http.host")?, "0.0.0.0");
//!
//! let error = config.get::<u16>("http.prot").unwrap_err();
//! assert_eq!(error.to_string(), "configuration key http.prot is missing; the nearest is http.port");
//! # Ok::<(), polyport_bootstrap::Error>(())
//! ```

mod builder;
mod environment;
mod files;
mod handle;
mod layers;
mod lines;
mod mask;
mod nearest;
mod provenance;
mod read;
mod reads;
mod section;
#[cfg(test)]
mod tests;
mod tree;
mod variables;

pub use builder::ConfigBuilder;
pub use environment::Environment;
pub use handle::Config;
pub use layers::Layer;
pub(crate) use nearest::nearest;
pub use provenance::{Origin, Provenance};
pub use section::Section;
