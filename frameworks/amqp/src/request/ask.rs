use polyport_bootstrap::Fault;
use tokio::sync::{mpsc, oneshot};

use super::Reply;
use crate::publisher::{Outgoing, Stage};

/// A request on its way, and who waits for the reply.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(super) message: Outgoing,
    pub(super) answer: Answer,
    stage: Stage,
}

pub(super) type Outcome = Result<Reply, Fault>;

/// Where replies go.
#[derive(Debug)]
pub(super) enum Answer {
    One(oneshot::Sender<Outcome>),
    /// Up to the last one.
    Items(mpsc::UnboundedSender<Outcome>),
}

impl Ask {
    pub(super) fn new(message: Outgoing) -> (Self, oneshot::Receiver<Outcome>, Stage) {
        let (answer, receipt) = oneshot::channel();
        let (ask, stage) = Self::of(message, Answer::One(answer));
        (ask, receipt, stage)
    }

    pub(super) fn for_items(message: Outgoing) -> (Self, mpsc::UnboundedReceiver<Outcome>, Stage) {
        let (answer, receipt) = mpsc::unbounded_channel();
        let (ask, stage) = Self::of(message, Answer::Items(answer));
        (ask, receipt, stage)
    }

    fn of(message: Outgoing, answer: Answer) -> (Self, Stage) {
        let stage = Stage::new();
        (Self { message, answer, stage: stage.clone() }, stage)
    }

    /// Whether it is to be sent: somebody still waits for the reply.
    pub(super) fn begin(&self) -> bool {
        self.answer.is_wanted() && self.stage.send()
    }
}

impl Answer {
    pub(super) fn is_wanted(&self) -> bool {
        match self {
            Self::One(answer) => !answer.is_closed(),
            Self::Items(items) => !items.is_closed(),
        }
    }

    /// The last that there is to say. Nobody is told where the caller has left.
    pub(super) fn finish(self, outcome: Outcome) {
        match self {
            Self::One(answer) => drop(answer.send(outcome)),
            Self::Items(items) => drop(items.send(outcome)),
        }
    }
}
