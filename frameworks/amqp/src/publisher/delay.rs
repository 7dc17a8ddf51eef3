//! Queues in which messages wait before their exchange gets them.
//!
//! Each delay to an exchange is a queue of its own, since messages of different delays in one queue
//! would wait for each other. It is bound to an exchange of the same name, so that a message comes
//! out of it with the routing key that it was published with.

mod again;
mod declare;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use lapin::types::ShortString;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout_at},
};

pub(super) use self::again::SecondTry;
use self::declare::Step;
use super::{Message, PublishError};
use crate::dialer::Dialer;

/// How long a queue outlives the last message that can be in it, when nobody uses it any more.
const SLACK: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a declaration is believed to keep a queue alive: well before its slack is used up.
const BELIEVED: Duration = Duration::from_secs(12 * 60 * 60);
/// The longest delay: RabbitMQ's times are milliseconds of 32 bits, and the queue lives longer.
const LONGEST: Duration = Duration::from_secs(48 * 24 * 60 * 60);
/// How soon it is tried again where there is no connection.
const AGAIN: Duration = Duration::from_millis(200);

/// The delays that this process uses.
#[derive(Debug)]
pub(crate) struct Delays {
    dialer: OnceLock<Arc<Dialer>>,
    /// When each was declared.
    known: RwLock<HashMap<Step, Instant>>,
    /// Held by who declares: others wait, and find it done.
    declaring: Mutex<()>,
    most: usize,
}

impl Message {
    /// How long it is to wait, if at all.
    pub(super) fn waits(&self) -> Result<Option<Duration>, PublishError> {
        let Some(delay) = self.delay.filter(|delay| delay.as_millis() > 0) else { return Ok(None) };
        if delay > LONGEST {
            return Err(refused(format!("{delay:?} is longer than 48 days")));
        }
        if self.expires_after().is_some() {
            return Err(refused(
                "it has an expiration too, which would end its delay early: leave that out"
                    .to_owned(),
            ));
        }
        Ok(Some(delay))
    }
}

impl Delays {
    pub(super) fn new(most: usize) -> Self {
        Self {
            dialer: OnceLock::new(),
            known: RwLock::default(),
            declaring: Mutex::default(),
            most,
        }
    }

    pub(super) fn set_dialer(&self, dialer: Arc<Dialer>) {
        let _ = self.dialer.set(dialer);
    }

    /// The exchange to publish to what `exchange` is to get after `delay`. Made where it is used
    /// first, by the deadline; without a connection it is tried again, where one is patient.
    pub(super) async fn step(
        &self,
        exchange: &ShortString,
        delay: Duration,
        deadline: Instant,
        patient: bool,
    ) -> Result<ShortString, PublishError> {
        let step = Step::new(exchange, delay)?;
        if self.knows(&step) {
            return Ok(step.name());
        }
        timeout_at(deadline, self.declare(&step, patient))
            .await
            .unwrap_or_else(|_| Err(unmade(&step, "the broker does not answer in time")))?;
        Ok(step.name())
    }

    async fn declare(&self, step: &Step, patient: bool) -> Result<(), PublishError> {
        let _alone = self.declaring.lock().await;
        if self.knows(step) {
            return Ok(());
        }
        self.admit(step)?;
        loop {
            match self.declare_once(step).await {
                Err(PublishError::NotConnected { .. }) if patient => sleep(AGAIN).await,
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        self.write().insert(step.clone(), Instant::now());
        Ok(())
    }

    async fn declare_once(&self, step: &Step) -> Result<(), PublishError> {
        match self.dialer.get() {
            Some(dialer) => step.declare(dialer).await,
            None => Err(unmade(step, "the process has not started yet")),
        }
    }

    /// Each delay is a queue that stays for a day: one that is computed for each message would
    /// drown the broker.
    fn admit(&self, step: &Step) -> Result<(), PublishError> {
        let known = self.read();
        if known.len() < self.most || known.contains_key(step) {
            return Ok(());
        }
        Err(refused(format!(
            "this process uses {} different delays already, each a queue on the broker: round \
             them, or raise the setting publish.delays",
            known.len(),
        )))
    }

    fn knows(&self, step: &Step) -> bool {
        self.read().get(step).is_some_and(|declared| declared.elapsed() < BELIEVED)
    }

    /// The queues in which messages may wait.
    pub(super) fn queues(&self) -> Vec<String> {
        self.read().keys().map(|step| step.name().to_string()).collect()
    }

    /// The broker does not have it, whatever was declared.
    pub(super) fn forget(&self, exchange: &ShortString, delay: Duration) {
        if let Ok(step) = Step::new(exchange, delay) {
            self.write().remove(&step);
        }
    }

    /// Everything is declared anew when it is used next.
    pub(super) fn forget_all(&self) {
        self.write().clear();
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Step, Instant>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<Step, Instant>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(reason: String) -> PublishError {
    PublishError::NotDelayed { reason }
}

fn unmade(step: &Step, error: &str) -> PublishError {
    let reason = format!("the queue \"{}\" for its delay cannot be made: {error}", step.name());
    PublishError::NotConnected { reason }
}
