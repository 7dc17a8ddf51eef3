//! Configuration in layers, in which every value knows where it came from.
//!
//! From the lowest layer to the highest (see [`Layer`]): what frameworks and modules bring along,
//! `config.default.*`, what modules bring along for the environment, `config.{environment}.*`,
//! `config.personal.*` (in `local` only), what `before` hooks add, environment variables
//! (`POLYPORT__HTTP__PORT=7001`) and overrides for tests. Files are TOML, YAML or JSON. Tables
//! merge deeply; arrays and scalars are replaced.
//!
//! Each source passes the `config_will_load` hooks ([`LayerValues`]) before it is merged. In the
//! merged tree texts are filled in: `${http.port}` with another value, `${env:HOME}` with an
//! environment variable, `${app.root}`, `${app.name}` and `${app.environment}` with what the
//! application is; `${target:-fallback}` where the target is not set or empty, and `$${` for the
//! two characters themselves.
//!
//! Single values are changed only while the process starts: once the `before` hooks have run the
//! configuration is complete, and every read is one of an immutable snapshot, which another one
//! replaces as a whole ([`Config::commit`]). Sections with an owner are read as types
//! ([`Settings`]) and checked all together.
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
mod change;
mod check;
mod decode;
mod dump;
mod entry;
mod environment;
mod explain;
mod files;
mod formats;
mod handle;
mod interpolation;
mod key;
mod layer;
mod layers;
mod mask;
mod nearest;
mod overridden;
mod own;
pub mod pem;
mod probe;
mod provenance;
mod read;
mod reads;
mod rebuild;
mod refusal;
mod remote;
mod remote_copy;
mod report;
mod secret;
mod secrets;
mod section;
mod sections;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;
mod tree;
mod variables;
mod watch;
mod will_load;
mod write;

pub use builder::ConfigBuilder;
pub use change::{ChangedKey, Effect, Prepared};
pub(crate) use check::checked_in_code;
pub use dump::Dump;
pub use environment::Environment;
pub use handle::Config;
pub use interpolation::literal;
pub use layer::Layer;
pub(crate) use mask::redact;
pub(crate) use nearest::nearest;
pub use own::{ConfigSettings, DumpFolder};
pub use provenance::{Origin, Provenance};
pub use remote::{OnFailure, RemoteConfig, RemoteSettings};
pub use secret::Secret;
pub use section::Section;
pub(crate) use sections::Declared;
pub use settings::{Changes, Settings, SettingsSection};
pub(crate) use snapshot::Snapshot;
pub(crate) use watch::Watch;
pub use will_load::LayerValues;
pub(crate) use will_load::WillLoad;
