//! How long a value lives, and what lives as long as one call.

use std::{
    any::Any,
    fmt,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt;

use super::{
    Container, Key,
    erased::{Erased, erase},
};
use crate::{Error, Result, panics};

/// How long the disposal of one value of a call may take: the answer waits for it.
const DISPOSAL: Duration = Duration::from_secs(5);

/// How long a value lives, and who shares it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// One for the process.
    #[default]
    Singleton,
    /// One for each call, on any protocol: built when an operation first takes it, disposed of
    /// when the call is answered. It may depend on everything, on the call's `Context` too.
    Request,
    /// A new one for each constructor or operation that takes it. It is never disposed of but by
    /// `Drop`.
    Transient,
}

impl Scope {
    /// The name, as in `#[provide(scope = "request")]`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Singleton => "singleton",
            Self::Request => "request",
            Self::Transient => "transient",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that has values of its own.
pub(crate) trait Caller: Send + Sync {
    /// Where they are kept.
    fn scope(&self) -> &CallScope;

    /// What the call itself is, by type.
    fn own(&self, key: &Key) -> Option<CallValue>;

    /// The call, to be known by its type.
    fn as_any(&self) -> &dyn Any;
}

/// A value that a call brings along.
pub(crate) struct CallValue(pub(super) Erased);

impl CallValue {
    pub(crate) fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Self(erase(std::sync::Arc::new(value)))
    }
}

/// The values of one call, in the order in which they were built. Until the first, it costs
/// nothing.
#[derive(Default)]
pub(crate) struct CallScope {
    /// How many there are: changed under the lock, and read where there may be none to lock for.
    count: AtomicUsize,
    /// Whether one of them has to be disposed of.
    disposes: AtomicBool,
    values: Mutex<Values>,
}

/// Most calls that have values have one: it needs no list.
#[derive(Default)]
struct Values {
    first: Option<Held>,
    further: Vec<Held>,
}

impl Values {
    fn find(&self, slot: usize) -> Option<&Held> {
        self.first.iter().chain(&self.further).find(|held| held.slot == slot)
    }

    fn push(&mut self, held: Held) {
        match self.first {
            None => self.first = Some(held),
            Some(_) => self.further.push(held),
        }
    }

    fn pop(&mut self) -> Option<Held> {
        self.further.pop().or_else(|| self.first.take())
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.further.len()
    }
}

/// What nobody has taken out goes as it would have been disposed of: the last first.
impl Drop for Values {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

struct Held {
    slot: usize,
    value: Erased,
}

impl CallScope {
    pub(super) fn find(&self, slot: usize) -> Option<Erased> {
        if self.is_empty() {
            return None;
        }
        self.lock().find(slot).map(|held| held.value.clone())
    }

    /// Keeps `value`, unless there is one already, which is returned: that is the one that counts.
    pub(super) fn keep(&self, slot: usize, value: &Erased, disposes: bool) -> Option<Erased> {
        let mut values = self.lock();
        if let Some(first) = values.find(slot) {
            return Some(first.value.clone());
        }
        values.push(Held { slot, value: value.clone() });
        if disposes {
            self.disposes.store(true, Ordering::Release);
        }
        self.count.store(values.len(), Ordering::Release);
        None
    }

    /// Whether nothing was built for this call, or nothing is left of it.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Whether it is enough to drop what was built for this call.
    pub(crate) fn only_drops(&self) -> bool {
        !self.disposes.load(Ordering::Acquire)
    }

    /// Disposes of what was built for this call, the last first, and logs what fails.
    ///
    /// # Cancel safety
    /// What is being disposed of is cut off; the rest goes on with the next call.
    pub(crate) async fn close(&self, container: &Container) {
        while let Some(held) = self.take_last() {
            let slot = container.table().slot(held.slot);
            let Some(dispose) = &slot.dispose else { continue };
            if let Err(error) = at_its_end(dispose(held.value)).await {
                let provider = slot.key().to_string();
                tracing::error!(provider, module = &*slot.module, %error, "disposal after a call failed");
            }
        }
    }

    /// Takes everything out, for a scope that outlives whoever was to close it.
    pub(crate) fn detach(&self) -> Self {
        let mut values = self.lock();
        let count = AtomicUsize::new(self.count.swap(0, Ordering::AcqRel));
        let disposes = AtomicBool::new(self.disposes.load(Ordering::Acquire));
        Self { count, disposes, values: Mutex::new(std::mem::take(&mut *values)) }
    }

    fn take_last(&self) -> Option<Held> {
        if self.is_empty() {
            return None;
        }
        let mut values = self.lock();
        let last = values.pop();
        self.count.store(values.len(), Ordering::Release);
        last
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CallScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallScope({} values)", self.count.load(Ordering::Acquire))
    }
}

/// Arms a timer only where the disposal has to wait.
async fn at_its_end(disposal: impl Future<Output = Result<()>> + Send) -> Result<()> {
    let mut disposal = pin!(AssertUnwindSafe(disposal).catch_unwind());
    let caught = |outcome: std::thread::Result<Result<()>>| {
        outcome.unwrap_or_else(|panic| Err(panics::error(&*panic)))
    };
    let first = std::future::poll_fn(|context| Poll::Ready(disposal.as_mut().poll(context))).await;
    if let Poll::Ready(outcome) = first {
        return caught(outcome);
    }
    match tokio::time::timeout(DISPOSAL, disposal).await {
        Ok(outcome) => caught(outcome),
        Err(_) => {
            Err(Error::deadline(format!("it took longer than {DISPOSAL:?}, and was cut off")))
        }
    }
}
