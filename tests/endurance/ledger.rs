//! Who sent what, what it was told, and what came.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use polyport::amqp::PublishError;
use tokio::{sync::Notify, time::timeout};

/// How long the last message may take to come.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a publisher was told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Confirmed,
    /// It may have been published or not.
    Unknown,
    /// It was not, or is no more.
    NotSent,
}

impl Verdict {
    pub(crate) fn of(outcome: &Result<(), PublishError>) -> Self {
        match outcome {
            Ok(()) => Self::Confirmed,
            Err(PublishError::TimedOut { .. }) => Self::Unknown,
            Err(_) => Self::NotSent,
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Line {
    verdict: Option<Verdict>,
    seen: u32,
}

/// One line for each message.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    lines: Mutex<Vec<Line>>,
    changed: Notify,
}

impl Ledger {
    /// The number of a further message.
    pub(crate) fn next(&self) -> usize {
        let mut lines = self.lines();
        lines.push(Line::default());
        lines.len() - 1
    }

    pub(crate) fn told(&self, number: usize, verdict: Verdict) {
        self.lines()[number].verdict = Some(verdict);
    }

    pub(crate) fn saw(&self, number: usize) {
        self.lines()[number].seen += 1;
        self.changed.notify_waiters();
    }

    /// Waits until a message has come.
    pub(crate) async fn until_seen(&self, number: usize) {
        self.until(&format!("message {number}"), |lines| lines[number].seen > 0).await;
    }

    /// Waits until everything that was confirmed has come.
    pub(crate) async fn until_complete(&self) {
        let came = |line: &Line| line.verdict != Some(Verdict::Confirmed) || line.seen > 0;
        self.until("what was confirmed", |lines| lines.iter().all(came)).await;
    }

    async fn until(&self, what: &str, is_so: impl Fn(&[Line]) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if is_so(&self.lines()) {
                    return;
                }
                changed.await;
            }
        };
        let came = timeout(PATIENCE, waiting).await;
        assert!(came.is_ok(), "{what} did not come within {PATIENCE:?}: {}", self.figures());
    }

    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for line in self.lines().iter() {
            figures.add(*line);
        }
        figures
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().expect("nobody panics while it is held")
    }
}

/// What the ledger comes to.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) sent: usize,
    pub(crate) confirmed: usize,
    pub(crate) unknown: usize,
    pub(crate) not_sent: usize,
    /// Confirmed, and never come.
    pub(crate) lost: usize,
    /// Said not to be sent, and come all the same.
    pub(crate) denied: usize,
    pub(crate) duplicates: BTreeMap<u32, usize>,
}

impl Figures {
    fn add(&mut self, line: Line) {
        self.sent += 1;
        match line.verdict {
            Some(Verdict::Confirmed) => self.confirmed += 1,
            Some(Verdict::NotSent) => self.not_sent += 1,
            Some(Verdict::Unknown) | None => self.unknown += 1,
        }
        self.lost += usize::from(line.verdict == Some(Verdict::Confirmed) && line.seen == 0);
        self.denied += usize::from(line.verdict == Some(Verdict::NotSent) && line.seen > 0);
        if line.seen > 1 {
            *self.duplicates.entry(line.seen).or_default() += 1;
        }
    }

    pub(crate) fn assert_nothing_lost(&self) {
        assert!(self.confirmed > 0, "nothing was confirmed: {self}");
        assert_eq!((self.lost, self.denied), (0, 0), "{self}");
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let twice: usize = self.duplicates.values().sum();
        write!(
            f,
            "{} sent, {} confirmed, {} of them not come; {} not sent, {} of them come; {} unknown; {twice} \
             handled more than once",
            self.sent, self.confirmed, self.lost, self.not_sent, self.denied, self.unknown,
        )
    }
}
