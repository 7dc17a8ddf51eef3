//! Exchanges, queues and bindings: declared in code and in the configuration, checked for
//! contradictions before anything connects, and declared anew on every connection.

mod arguments;
mod asking;
mod binding;
mod checks;
mod declare;
mod exchange;
mod plan;
mod queue;
mod refused;
mod settings;
mod shown;
mod steps;

pub(crate) use checks::MAX_NAME;
pub(crate) use declare::DeclareError;
pub use exchange::{Exchange, ExchangeKind};
pub(crate) use plan::Plan;
pub use queue::{Overflow, Queue};
pub use settings::{
    BindingSettings, DeadLetterSettings, ExchangeSettings, QueueKind, QueueSettings, TopologyMode,
};
pub(crate) use shown::Shown;
pub(crate) use steps::Steps;
