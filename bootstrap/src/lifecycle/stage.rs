use std::fmt;

use serde::Serialize;

use crate::hooks::HookPoint;

/// The steps of a start and of a stop, in their order. Each has its own deadline in the section
/// `startup` or `shutdown`, under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Environment, files and variables are read.
    Configuration,
    /// Modules register what they bring; the structure of the graph is checked.
    Modules,
    /// Before-hooks run; then the configuration is complete.
    Before,
    /// `config_did_load`; frameworks are built and find each other.
    Build,
    /// The whole graph is checked; `did_load`.
    Check,
    /// What is reached is built; `will_ready`.
    Singletons,
    /// Frameworks bind or connect.
    Bind,
    /// `on_ready`, once for the process.
    OnReady,
    /// Frameworks listen and serve; `on_server_ready`.
    Serve,
    /// Readiness is off, everything is still served; `on_stopping`.
    OnStopping,
    /// `shutdown.delay` passes, everything is still served.
    Delay,
    /// Nothing new is taken any more.
    Intake,
    /// What is in flight is finished and answered.
    Drain,
    /// `before_close`; singletons are still there.
    BeforeClose,
    /// Singletons are disposed of.
    Dispose,
    /// Frameworks tell their peers and close.
    Close,
    /// `closed`.
    Closed,
}

impl Stage {
    /// The stage's name, as in the configuration and in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Modules => "modules",
            Self::Before => "before",
            Self::Build => "build",
            Self::Check => "check",
            Self::Singletons => "singletons",
            Self::Bind => "bind",
            Self::OnReady => "on_ready",
            Self::Serve => "serve",
            Self::OnStopping => "on_stopping",
            Self::Delay => "delay",
            Self::Intake => "intake",
            Self::Drain => "drain",
            Self::BeforeClose => "before_close",
            Self::Dispose => "dispose",
            Self::Close => "close",
            Self::Closed => "closed",
        }
    }

    /// Whether it belongs to the start; the others belong to the stop.
    #[must_use]
    pub fn is_start(self) -> bool {
        self <= Self::Serve
    }

    /// Where hooks of this kind run.
    pub(crate) const fn of_hooks(point: HookPoint) -> Self {
        match point {
            HookPoint::ConfigDidLoad => Self::Build,
            HookPoint::DidLoad => Self::Check,
            HookPoint::WillReady => Self::Singletons,
            HookPoint::OnReady => Self::OnReady,
            HookPoint::OnServerReady => Self::Serve,
            HookPoint::OnStopping => Self::OnStopping,
            HookPoint::BeforeClose => Self::BeforeClose,
            HookPoint::Closed => Self::Closed,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
