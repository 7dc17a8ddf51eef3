//! Makes connections: at start once, later until one is up.

use std::sync::Arc;

use polyport_bootstrap::Backoff;

use crate::{
    broker::Broker,
    connection::{Link, OpenError},
    monitor::{Monitor, Side},
    settings::AmqpSettings,
    topology::{DeclareError, Plan},
};

/// What every incarnation of a connection is made from.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) broker: Broker,
    pub(crate) settings: AmqpSettings,
    pub(crate) plan: Arc<Plan>,
    pub(crate) monitor: Arc<Monitor>,
}

/// Why a connection could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}")]
    Declare(#[from] DeclareError),
}

impl Dialer {
    /// Connects once, without a word about topology.
    pub(crate) async fn connect(&self, side: Side) -> Result<Link, OpenError> {
        let link = Link::open(&self.broker, side.as_str(), &self.settings).await?;
        self.monitor.set_frame_max(link.frame_max());
        Ok(link)
    }

    /// Connects until it succeeds, and declares everything anew: the broker may have lost it.
    pub(crate) async fn redial(&self, side: Side, backoff: &mut Backoff) -> Link {
        loop {
            tokio::time::sleep(backoff.next_delay()).await;
            match self.dial(side).await {
                Ok(link) => {
                    tracing::info!(broker = %self.broker, side = side.as_str(), "connected again");
                    return link;
                }
                Err(error) => {
                    tracing::debug!(broker = %self.broker, side = side.as_str(), %error, "not connected");
                    self.monitor.failed(side, error.to_string());
                }
            }
        }
    }

    /// Notes and says that a connection was lost.
    pub(crate) fn lost(&self, side: Side, reason: String) {
        tracing::warn!(
            broker = %self.broker,
            side = side.as_str(),
            reason,
            "the connection to the broker is lost; connecting anew"
        );
        self.monitor.down(side, reason);
    }

    async fn dial(&self, side: Side) -> Result<Link, DialError> {
        let link = self.connect(side).await?;
        self.plan.declare(&link).await?;
        if side == Side::Consume {
            self.plan.declare_exclusive(&link).await?;
        }
        Ok(link)
    }
}
