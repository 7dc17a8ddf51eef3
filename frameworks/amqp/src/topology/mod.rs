//! Exchanges, queues and bindings: declared in code, checked for contradictions before anything
//! connects, and declared anew on every connection.

mod declare;
mod exchange;
mod plan;
mod queue;
mod steps;

pub(crate) use declare::DeclareError;
pub use exchange::{Exchange, ExchangeKind};
pub(crate) use plan::Plan;
pub use queue::Queue;
pub(crate) use steps::Steps;
