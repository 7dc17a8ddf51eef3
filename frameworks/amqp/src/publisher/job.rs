use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

use tokio::sync::oneshot;

use super::{PublishError, delay::SecondTry, outbox::Room, outgoing::Outgoing, unwatched::Ticket};

/// How far a message has come. Whoever stops waiting for it can so tell a message that was not
/// sent from one whose outcome is unknown.
#[derive(Debug, Clone)]
pub(crate) struct Stage(Arc<AtomicU8>);

const QUEUED: u8 = 0;
const SENT: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Stage {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(QUEUED)))
    }

    /// Takes the message back; false where it has been sent already.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.compare_exchange(QUEUED, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Notes that it is sent; false where it was taken back.
    pub(crate) fn send(&self) -> bool {
        let before = self.0.compare_exchange(QUEUED, SENT, Ordering::AcqRel, Ordering::Acquire);
        before != Err(WITHDRAWN)
    }
}

/// A message on its way, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) message: Box<Outgoing>,
    /// Its place in the order in which messages were sent first; 0 before that.
    pub(super) sequence: i64,
    /// When it was sent last.
    pub(super) sent_at: Option<Instant>,
    /// How often the broker closed what it was unconfirmed on, for a reason that it may be.
    pub(super) closings: u8,
    /// Whether the broker closed what it was unconfirmed on: it may be the reason.
    pub(super) suspect: bool,
    /// Whether it was unconfirmed for so long that it is sent behind others now.
    pub(super) is_late: bool,
    second_try: Option<Box<SecondTry>>,
    waiting: Waiting,
    room: Room,
}

#[derive(Debug)]
enum Waiting {
    Caller(oneshot::Sender<Outcome>, Stage),
    Nobody(Ticket),
}

type Outcome = Result<(), PublishError>;

/// What the caller waits for.
pub(super) type Receipt = oneshot::Receiver<Outcome>;

impl Job {
    /// One that a caller waits for.
    pub(super) fn new(message: Box<Outgoing>, room: Room) -> (Self, Receipt, Stage) {
        let (answer, receipt) = oneshot::channel();
        let stage = Stage::new();
        (Self::of(message, room, Waiting::Caller(answer, stage.clone())), receipt, stage)
    }

    /// One that nobody waits for.
    pub(super) fn unwatched(message: Box<Outgoing>, room: Room, ticket: Ticket) -> Self {
        Self::of(message, room, Waiting::Nobody(ticket))
    }

    fn of(message: Box<Outgoing>, room: Room, waiting: Waiting) -> Self {
        Self {
            message,
            sequence: 0,
            sent_at: None,
            closings: 0,
            suspect: false,
            is_late: false,
            second_try: None,
            waiting,
            room,
        }
    }

    /// What is done where the queue is gone in which it is to wait.
    pub(super) fn or(mut self, second_try: Option<Box<SecondTry>>) -> Self {
        self.second_try = second_try;
        self
    }

    /// Whether it is to be sent: its caller has not left, nor given up.
    pub(super) fn is_wanted(&self) -> bool {
        match &self.waiting {
            Waiting::Caller(answer, _) => !answer.is_closed(),
            Waiting::Nobody(_) => true,
        }
    }

    /// Whether it is to be sent, or sent again: somebody still waits for it. Its outcome can be
    /// unknown from now on.
    pub(super) fn begin(&self) -> bool {
        match &self.waiting {
            Waiting::Caller(answer, stage) => !answer.is_closed() && stage.send(),
            Waiting::Nobody(_) => true,
        }
    }

    /// The same, without the doubts that there were of it.
    pub(super) fn anew(self) -> Self {
        Self { closings: 0, suspect: false, is_late: false, ..self }
    }

    pub(super) fn finish(mut self, outcome: Outcome) {
        let is_gone =
            matches!(outcome, Err(PublishError::Unroutable { .. } | PublishError::Rejected { .. }));
        if let Some(second_try) = self.second_try.take_if(|_| is_gone) {
            return second_try.begin(self);
        }
        // Whoever is told finds room for the next one.
        drop(self.room);
        match self.waiting {
            // Nobody is told where the caller has left.
            Waiting::Caller(answer, _) => drop(answer.send(outcome)),
            Waiting::Nobody(ticket) => ticket.finish(outcome),
        }
    }

    /// It was not taken, and whoever hands it over is told.
    pub(super) fn refuse(self) {
        if let Waiting::Nobody(ticket) = self.waiting {
            ticket.void();
        }
    }

    /// Tells the caller that the broker returned the message.
    pub(super) fn finish_unroutable(self) {
        let error = PublishError::Unroutable {
            exchange: self.message.exchange.to_string(),
            routing_key: self.message.routing_key.to_string(),
        };
        self.finish(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::{PublishSettings, outbox::Outbox, told::OnItsWay, unwatched::Unwatched},
        *,
    };
    use crate::{Message, metrics::PublishMetrics};

    fn parts() -> (Box<Outgoing>, Room) {
        let room = Outbox::new(&PublishSettings::default()).try_enter(1).expect("room");
        (Box::new(Message::new("", "q", "").into_outgoing().expect("fits")), room)
    }

    fn job() -> (Job, Receipt, Stage) {
        let (message, room) = parts();
        Job::new(message, room)
    }

    #[test]
    fn what_was_withdrawn_is_not_sent_and_what_was_sent_not_withdrawn() {
        let (first, _receipt, stage) = job();
        assert!(stage.withdraw() && !first.begin());
        let (second, _receipt, stage) = job();
        assert!(second.begin() && !stage.withdraw());
        assert!(second.begin(), "it may be sent again");
    }

    #[test]
    fn nothing_is_sent_for_a_caller_that_left() {
        let (job, receipt, _stage) = job();
        assert!(job.is_wanted());
        drop(receipt);
        assert!(!job.is_wanted() && !job.begin());
    }

    #[test]
    fn what_nobody_waits_for_is_sent_as_often_as_it_takes() {
        let (message, room) = parts();
        let counts = Arc::new(Unwatched::new(Arc::new(PublishMetrics::new("default"))));
        let told = OnItsWay::begin(&Default::default(), &message);
        let job = Job::unwatched(message, room, Ticket::new(Arc::clone(&counts), told));
        assert!(job.is_wanted() && job.begin() && job.begin());
        job.finish(Ok(()));
        assert_eq!(counts.counts(), (1, 0));
    }
}
