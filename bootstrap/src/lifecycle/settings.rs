use std::time::Duration;

use garde::Validate;
use polyport_macros::Settings;
use serde::{Deserialize, Serialize};

/// The section `startup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("startup")]
#[settings(crate = crate)]
#[garde(allow_unvalidated)]
pub struct StartupSettings {
    /// The longest time from the first hook to the last; default 60 s.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// The longest time for the constructor of one singleton, without what it waits for; default
    /// 30 s.
    #[serde(with = "humantime_serde")]
    pub singleton: Duration,
}

impl Default for StartupSettings {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(60), singleton: Duration::from_secs(30) }
    }
}

/// The section `shutdown`: how long each step of a stop may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("shutdown")]
#[settings(crate = crate)]
#[garde(allow_unvalidated)]
pub struct ShutdownSettings {
    /// How long everything is still served after readiness was turned off, so that load balancers
    /// notice; default 0 s.
    #[serde(with = "humantime_serde")]
    pub delay: Duration,
    /// How long what is in flight may take; default 10 s.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// How long a framework may take to close; default 5 s.
    #[serde(with = "humantime_serde")]
    pub close: Duration,
    /// How long one hook may take; default 5 s.
    #[serde(with = "humantime_serde")]
    pub hook: Duration,
    /// How long the disposal of one singleton may take; default 5 s.
    #[serde(with = "humantime_serde")]
    pub dispose: Duration,
}

impl Default for ShutdownSettings {
    fn default() -> Self {
        let five = Duration::from_secs(5);
        Self {
            delay: Duration::ZERO,
            drain: Duration::from_secs(10),
            close: five,
            hook: five,
            dispose: five,
        }
    }
}

/// The section `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("log")]
#[settings(crate = crate)]
#[garde(allow_unvalidated)]
pub struct LogSettings {
    /// What is logged, as tracing's filters are written: `info`, `debug,hyper=warn`; default
    /// `info`.
    #[garde(custom(crate::logging::is_filter))]
    pub level: String,
    /// How; default `pretty`.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Pretty }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogFormat {
    /// For people: one line an event, coloured in a terminal.
    #[default]
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}
