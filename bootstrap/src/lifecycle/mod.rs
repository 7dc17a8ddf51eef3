//! Who is called when, from the first line of configuration to the exit.

mod banner;
mod board;
mod control;
mod elsewhere;
mod hook_run;
mod loaded;
mod modules;
mod plan;
mod presets;
mod process;
mod register;
mod settings;
mod shutdown;
mod stage;
mod stage_run;
mod startup;
mod supervisor;
mod switches;
mod throughout;
mod timeline;
mod waterfall;

pub use control::{Lifecycle, Phase};
pub(crate) use elsewhere::Kept;
pub(crate) use loaded::Load;
pub(crate) use modules::ModuleEntry;
pub(crate) use plan::Plan;
pub(crate) use register::graph;
pub use settings::{LogFormat, LogSettings, ShutdownSettings, StartupSettings};
pub use stage::Stage;
pub(crate) use startup::start;
pub use supervisor::RunningBootstrap;
pub(crate) use timeline::Step;
pub use timeline::{StepOutcome, Timeline, TimelineEntry};
