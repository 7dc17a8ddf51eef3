//! Presets: modules, frameworks and defaults under one name.

use crate::Bootstrap;

/// A bundle of frameworks, modules, hooks and default configuration: a company's own framework.
///
/// Presets stack (Egg's framework above framework): one applies others first, and what it says
/// itself stands above what they say. The same preset twice is one.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Bootstrap, Preset, module};
/// use serde_json::json;
///
/// /// What every service has.
/// struct Base;
///
/// impl Preset for Base {
///     fn name(&self) -> &str {
///         "base"
///     }
///
///     fn apply(self, bootstrap: Bootstrap) -> Bootstrap {
///         bootstrap
///             .module(module("audit", |_| Ok(())))
///             .default_config(json!({ "http": { "port": 7001 } }))
///     }
/// }
///
/// /// What every service of the shop has.
/// struct Shop;
///
/// impl Preset for Shop {
///     fn name(&self) -> &str {
///         "shop"
///     }
///
///     fn apply(self, bootstrap: Bootstrap) -> Bootstrap {
///         bootstrap
///             .preset(Base)
///             .default_config(json!({ "http": { "port": 8001 } }))
///             .default_config_for("prod", json!({ "http": { "port": 80 } }))
///     }
/// }
///
/// let bootstrap = Bootstrap::new().preset(Shop).module(module("orders", |_| Ok(())));
/// ```
pub trait Preset: 'static {
    /// The preset's name, as reports and explanations of configuration values show it; two
    /// different presets of one name are an error at start.
    fn name(&self) -> &str;

    /// Adds what the preset consists of.
    #[must_use]
    fn apply(self, bootstrap: Bootstrap) -> Bootstrap;
}
