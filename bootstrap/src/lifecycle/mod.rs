//! Who is called when, from the first line of configuration to the exit.

mod check;
mod control;
mod elsewhere;
mod loaded;
mod modules;
mod plan;
mod presets;
mod process;
mod register;
mod reload;
mod settings;
mod startup;
mod supervisor;
mod switches;

pub(crate) use check::{BeforeHooks, Looked, check, look};
pub use control::{Lifecycle, Phase};
pub(crate) use elsewhere::Kept;
pub(crate) use loaded::Load;
pub(crate) use modules::ModuleEntry;
pub(crate) use plan::Plan;
pub(crate) use register::graph;
pub use reload::{Reload, Reloader};
pub use settings::{LogFormat, LogSettings, ShutdownSettings, StartupSettings};
pub(crate) use startup::start;
pub use supervisor::RunningBootstrap;
