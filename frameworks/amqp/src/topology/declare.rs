use super::{
    Plan, Queue, TopologyMode,
    asking::{Ask, Asking},
    refused::Undeclared,
};
use crate::connection::Link;

/// All that the broker did not take or does not have, as far as it could be asked.
#[derive(Debug, Clone)]
pub(crate) struct DeclareError(pub(super) Vec<Undeclared>);

impl Plan {
    /// Declares everything, or looks whether it is there, as the settings say; exclusive queues
    /// are for [`declare_exclusive`](Self::declare_exclusive).
    ///
    /// The broker closes the channel of whoever declares something otherwise than it knows it, so
    /// the link is best one on which nothing else goes on.
    pub(crate) async fn declare(&self, link: &Link) -> Result<(), DeclareError> {
        let queues = self.queues().filter(|queue| !queue.exclusive);
        let exchanges = self.exchanges().map(Ask::Exchange);
        match self.mode {
            TopologyMode::None => Ok(()),
            TopologyMode::Passive => {
                let asks = exchanges.chain(queues.map(Ask::Queue)).collect();
                Asking::passively_on(link).ask_for(asks).await
            }
            TopologyMode::Declare => {
                let bound = exchanges.chain(self.exchanges().flat_map(Ask::bindings_of));
                let asks = bound.chain(queues.flat_map(Ask::with_bindings)).collect();
                Asking::on(link).ask_for(asks).await
            }
        }
    }

    /// Declares the exclusive queues, in every mode: they belong to the connection that does so,
    /// which is the one that consumes.
    pub(crate) async fn declare_exclusive(&self, link: &Link) -> Result<(), DeclareError> {
        let queues = self.queues().filter(|queue: &&Queue| queue.exclusive);
        Asking::on(link).ask_for(queues.flat_map(Ask::with_bindings).collect()).await
    }
}
