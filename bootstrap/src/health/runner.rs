//! Asks the components that are to be asked.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::future::join_all;
use tokio::{sync::oneshot, task::AbortHandle, time::sleep};

use super::{Health, HealthCheck};
use crate::{container::WeakContainer, witness};

/// The checks of one [`Health`], each in a task of its own, so that none holds up another.
#[derive(Default)]
pub(super) struct Runner(Mutex<Checks>);

enum Checks {
    /// Singletons may not be built yet.
    Waiting(Vec<(usize, HealthCheck)>),
    Running {
        container: WeakContainer,
        tasks: Vec<AbortHandle>,
    },
    Ended,
}

impl Default for Checks {
    fn default() -> Self {
        Self::Waiting(Vec::new())
    }
}

impl Runner {
    /// Takes a check, and begins it where the others have begun.
    pub(super) fn add(&self, health: &Health, index: usize, check: HealthCheck) {
        match &mut *self.lock() {
            Checks::Waiting(waiting) => waiting.push((index, check)),
            Checks::Running { container, tasks } => {
                tasks.push(spawn(health, index, check, container.clone()).0);
            }
            Checks::Ended => {}
        }
    }

    /// Begins all checks; ends when each has a first answer.
    pub(super) async fn begin(&self, health: &Health, container: WeakContainer) {
        let answers = {
            let mut checks = self.lock();
            let Checks::Waiting(waiting) = &mut *checks else { return };
            let begin = |(index, check)| spawn(health, index, check, container.clone());
            let (tasks, answers): (Vec<_>, Vec<_>) = waiting.drain(..).map(begin).unzip();
            *checks = Checks::Running { container, tasks };
            answers
        };
        join_all(answers).await;
    }

    /// Drops all checks and whatever they hold.
    pub(super) fn end(&self) {
        let ended = mem::replace(&mut *self.lock(), Checks::Ended);
        if let Checks::Running { tasks, .. } = ended {
            tasks.iter().for_each(AbortHandle::abort);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Checks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spawn(
    health: &Health,
    index: usize,
    check: HealthCheck,
    container: WeakContainer,
) -> (AbortHandle, oneshot::Receiver<()>) {
    let (first, answered) = oneshot::channel();
    let health = health.clone();
    let task = witness::spawn(async move {
        let answer = |trouble| {
            health.set(index, trouble);
            let _ = first.send(());
        };
        check.ask(&container, answer).await;
        loop {
            sleep(check.pause()).await;
            check.ask(&container, |trouble| health.set(index, trouble)).await;
        }
    });
    (task.abort_handle(), answered)
}
