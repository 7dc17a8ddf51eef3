//! The order of the layers.

use std::fmt;

/// Where in the order a value comes from; a later variant wins over an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// What a framework brings along.
    FrameworkDefaults,
    /// What a module brings along.
    ModuleDefaults,
    /// What a preset brings along, or the bootstrap itself.
    PresetDefaults,
    /// `config.default.toml`, `.yaml`, `.yml` or `.json`.
    DefaultFile,
    /// What a module brings along for this environment.
    ModuleEnvironmentDefaults,
    /// What a preset brings along for this environment, or the bootstrap itself.
    PresetEnvironmentDefaults,
    /// `config.{environment}.toml`, `.yaml`, `.yml` or `.json`.
    EnvironmentFile,
    /// `config.personal.toml`, `.yaml`, `.yml` or `.json`, in environment `local` only.
    PersonalFile,
    /// What `before` hooks add.
    Hook,
    /// Environment variables such as `POLYPORT__HTTP__PORT`.
    Variable,
    /// Overrides, for tests.
    Override,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FrameworkDefaults => "framework defaults",
            Self::ModuleDefaults => "module defaults",
            Self::PresetDefaults => "preset defaults",
            Self::DefaultFile => "default file",
            Self::ModuleEnvironmentDefaults => "module defaults for the environment",
            Self::PresetEnvironmentDefaults => "preset defaults for the environment",
            Self::EnvironmentFile => "environment file",
            Self::PersonalFile => "personal file",
            Self::Hook => "before-hook",
            Self::Variable => "environment variable",
            Self::Override => "override",
        })
    }
}
