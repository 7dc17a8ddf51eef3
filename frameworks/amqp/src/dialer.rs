//! Makes connections, and declares: over the first of them, and later over one of its own.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use polyport_bootstrap::{Backoff, Error};
use tokio::sync::Mutex;

use crate::{
    broker::{Broker, Node},
    connection::Link,
    guard::Reader,
    monitor::{Monitor, Side},
    refusal::OpenError,
    settings::AmqpSettings,
    topology::{DeclareError, Plan},
};

/// What the connection is for over which topology is declared while the process serves, as the broker
/// shows it.
pub(crate) const ADMIN: &str = "admin";

/// What every incarnation of a connection is made from.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) broker: Broker,
    pub(crate) settings: AmqpSettings,
    /// Where the settings stand, for reports.
    pub(crate) section: String,
    pub(crate) plan: Arc<Plan>,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) declarations: Declarations,
}

/// Whether the broker may have lost what was declared.
#[derive(Debug)]
pub(crate) struct Declarations {
    /// How often something happened by which it may have.
    wanted: AtomicU64,
    done: Mutex<Done>,
}

#[derive(Debug, Default)]
struct Done {
    /// Up to which of these everything is declared.
    upto: u64,
    /// What the broker has refused, as it was told last.
    told: Option<String>,
}

impl Default for Declarations {
    /// Nothing is declared yet.
    fn default() -> Self {
        Self { wanted: AtomicU64::new(1), done: Mutex::default() }
    }
}

/// Why a connection could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}")]
    Declare(#[from] DeclareError),
}

impl DialError {
    /// Whether trying again is of no use, until somebody has changed something.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Open(error) => error.is_refusal(),
            Self::Declare(error) => error.is_refusal(),
        }
    }

    /// What a person is told, with advice.
    pub(crate) fn report(self, dialer: &Dialer) -> Error {
        match self {
            Self::Open(error) => error.report(&dialer.broker, &dialer.section),
            Self::Declare(error) => error.report(&dialer.broker),
        }
    }
}

impl Dialer {
    /// Connects once, without a word about topology.
    pub(crate) async fn connect(&self, side: Side) -> Result<Link, OpenError> {
        let monitor = Arc::clone(&self.monitor);
        let on_blocked = move |reason| {
            if side == Side::Publish {
                monitor.set_blocked(reason);
            }
        };
        let (broker, purpose) = (&self.broker, side.as_str());
        let link =
            Link::open_told(broker, purpose, &self.settings, Reader::Task, on_blocked).await?;
        self.monitor.set_frame_max(link.frame_max());
        self.monitor.set_node(side, link.node().address());
        Ok(link)
    }

    /// Connects to publish for the first time, and declares everything over that connection: what
    /// the broker closes for a contradiction is of no use then.
    pub(crate) async fn dial_to_publish(&self) -> Result<Link, DialError> {
        let link = self.connect(Side::Publish).await?;
        let declaring = async { Ok(self.plan.declare(&link).await?) };
        let declared = self.declare(declaring).await;
        or_closed(link, declared).await
    }

    /// The first connection to consume, with the exclusive queues that belong to it; everything else
    /// has to be declared before.
    pub(crate) async fn with_exclusive(
        &self,
        connected: Result<Link, OpenError>,
    ) -> Result<Link, DialError> {
        let link = connected?;
        let declared = self.plan.declare_exclusive(&link).await;
        or_closed(link, declared.map_err(DialError::from)).await
    }

    /// Declares what whoever uses the link on this side needs, while the process serves: what the
    /// broker refuses by itself is told, and everything else goes on.
    pub(crate) async fn declare_again(&self, side: Side, link: &Link) -> Result<(), DialError> {
        let declaring = self.declare_over(self.administer(link.node()));
        self.tolerate(self.declare(declaring).await).await?;
        if side == Side::Consume {
            // Whoever consumes from one that is refused tells that.
            match self.plan.declare_exclusive(link).await {
                Err(error) if !error.is_only_refused() => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Declares everything again that a queue was found missing of, over a connection of its own.
    /// `seen` is what [`declared`](Self::declared) said before that was found: several find it at once.
    pub(crate) async fn redeclare(&self, seen: u64) -> Result<(), DialError> {
        let wanted = &self.declarations.wanted;
        let _ = wanted.compare_exchange(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire);
        let declaring = self.declare_over(Link::open(&self.broker, ADMIN, &self.settings));
        self.tolerate(self.declare(declaring).await).await
    }

    /// Declares again what the broker has refused: somebody may have mended it.
    pub(crate) async fn declare_refused(&self) -> Result<(), DialError> {
        let refused = self.declarations.done.lock().await.told.is_some();
        if refused { self.redeclare(self.declared()).await } else { Ok(()) }
    }

    /// Which declarations are wanted or done by now.
    pub(crate) fn declared(&self) -> u64 {
        self.declarations.wanted.load(Ordering::Acquire)
    }

    /// Says once what the broker refuses; health is told as long as it does. A process that has never
    /// had everything goes on trying: whatever it serves may be wrong.
    async fn tolerate(&self, declared: Result<(), DialError>) -> Result<(), DialError> {
        let mut done = self.declarations.done.lock().await;
        let refused = match declared {
            Ok(()) => None,
            Err(DialError::Declare(error)) if error.is_only_refused() && done.upto > 0 => {
                Some(error)
            }
            Err(error) => return Err(error),
        };
        let reason = refused.as_ref().map(ToString::to_string);
        self.monitor.set_undeclared(reason.as_deref());
        if let Some(error) = refused
            && done.told != reason
        {
            let (broker, report) = (&self.broker, error.report(&self.broker));
            let advice = report.advice().map(str::to_owned);
            tracing::error!(%broker, reason, advice, "{report}; everything else goes on");
        }
        done.told = reason;
        Ok(())
    }

    /// Connects until it succeeds, and declares everything anew: the broker may have lost it.
    pub(crate) async fn redial(&self, side: Side, backoff: &mut Backoff) -> Link {
        let mut told = None;
        loop {
            tokio::time::sleep(backoff.next_delay()).await;
            match self.dial_again(side).await {
                Ok(link) => {
                    let (node, side) = (link.node().address(), side.as_str());
                    tracing::info!(node, side, "connected again");
                    return link;
                }
                Err(error) => self.not_connected(side, error, &mut told),
            }
        }
    }

    async fn dial_again(&self, side: Side) -> Result<Link, DialError> {
        let link = self.connect(side).await?;
        let declared = self.declare_again(side, &link).await;
        or_closed(link, declared).await
    }

    /// Has everything declared, unless that is done since the broker was lost last.
    async fn declare(
        &self,
        declaring: impl Future<Output = Result<(), DialError>>,
    ) -> Result<(), DialError> {
        let mut done = self.declarations.done.lock().await;
        let wanted = self.declarations.wanted.load(Ordering::Acquire);
        if done.upto < wanted {
            if !self.plan.is_empty() {
                declaring.await?;
            }
            done.upto = wanted;
        }
        Ok(())
    }

    /// Declares everything over a short-lived connection, since the broker closes what a
    /// contradiction was declared on.
    async fn declare_over(
        &self,
        admin: impl Future<Output = Result<Link, OpenError>>,
    ) -> Result<(), DialError> {
        let link = admin.await?;
        let declared = self.plan.declare(&link).await;
        close(&link).await;
        Ok(declared?)
    }

    /// The broker may have lost what was declared.
    pub(crate) fn forget_declarations(&self) {
        self.declarations.wanted.fetch_add(1, Ordering::AcqRel);
    }

    /// A short-lived connection to the same node, to do what may go wrong.
    async fn administer(&self, node: &Node) -> Result<Link, OpenError> {
        let link = Link::open_at(node, ADMIN, &self.settings).await;
        link.map_err(|error| OpenError(vec![(node.clone(), error)]))
    }

    /// Notes and says that a connection was lost.
    pub(crate) fn lost(&self, side: Side, reason: String) {
        tracing::warn!(
            broker = %self.broker,
            side = side.as_str(),
            reason,
            "the connection to the broker is lost; connecting anew"
        );
        self.forget_declarations();
        self.monitor.down(side, reason);
    }

    /// Notes an attempt that was in vain. A refusal needs somebody to change something, who is told
    /// once for each reason.
    pub(crate) fn not_connected(&self, side: Side, error: DialError, told: &mut Option<String>) {
        let (broker, reason) = (&self.broker, error.to_string());
        self.monitor.failed(side, reason.clone());
        let side = side.as_str();
        if error.is_refusal() && told.as_ref() != Some(&reason) {
            let report = error.report(self);
            let advice = report.advice().map(str::to_owned);
            tracing::error!(%broker, side, reason, advice, "{report}; trying again");
            *told = Some(reason);
        } else {
            tracing::debug!(%broker, side, reason, "not connected");
        }
    }
}

/// The link, where what belongs on it is declared.
async fn or_closed(link: Link, declared: Result<(), DialError>) -> Result<Link, DialError> {
    if declared.is_err() {
        close(&link).await;
    }
    declared.map(|()| link)
}

async fn close(link: &Link) {
    if let Err(error) = link.close().await {
        tracing::debug!(%error, "a connection was cut");
    }
}
