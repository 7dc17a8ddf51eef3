//! Typed sections, as application code takes them.

use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::{
    Config,
    sections::Declared,
    snapshot::{Snapshot, Typed},
};
use crate::Result;

/// A type that a section of the configuration is read as: `#[derive(Settings)]` with
/// `#[settings("users")]` says so.
///
/// What is not set comes from `Default`, what is set is validated (garde), and an unknown key is
/// an error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a section of the configuration",
    note = "derive Default, Deserialize (with #[serde(default)]), garde's Validate and Settings \
            for it, and name its section: #[settings(\"users\")]"
)]
pub trait SettingsSection:
    DeserializeOwned + Default + garde::Validate<Context = ()> + Send + Sync + 'static
{
    /// The dotted key of the section: `users`.
    const KEY: &'static str;

    /// The fields that have another name in the configuration than in Rust, for what breaks a
    /// rule; those that differ in case only need not be said.
    const RENAMED: &'static [(&'static str, &'static str)] = &[];
}

/// A typed section of the configuration.
///
/// Injected into a constructor it is a live handle: [`get`](Self::get) answers what holds now,
/// also after the configuration was reloaded, and takes no lock. As the argument of an operation
/// it holds what stood in the configuration when the call first looked, like every other section
/// that the call takes, so that a call never sees half of a change.
pub struct Settings<T> {
    live: Arc<Live<T>>,
    pinned: Option<Arc<T>>,
}

struct Live<T> {
    /// None for settings that were given in code.
    place: Option<Declared<T>>,
    /// What stood there when the first handle was made.
    first: Arc<T>,
}

impl<T> Clone for Settings<T> {
    fn clone(&self) -> Self {
        Self { live: Arc::clone(&self.live), pinned: self.pinned.clone() }
    }
}

impl<T: Send + Sync + 'static> Settings<T> {
    /// Settings that no configuration changes: for tests, and for what is set in code.
    #[must_use]
    pub fn fixed(value: T) -> Self {
        Self { live: Arc::new(Live { place: None, first: Arc::new(value) }), pinned: None }
    }

    /// The settings as they are now; as an argument of an operation, as they were when the call
    /// first looked at any.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        match (&self.pinned, &self.live.place) {
            (Some(pinned), _) => Arc::clone(pinned),
            (None, Some(place)) => self.in_snapshot(&place.config.current()),
            (None, None) => Arc::clone(&self.live.first),
        }
    }

    /// Tells every change from now on.
    #[must_use]
    pub fn subscribe(&self) -> Changes<T> {
        let commits = self.live.place.as_ref().map(|place| place.config.commits());
        let settings = Self { live: Arc::clone(&self.live), pinned: None };
        Changes { last: settings.get(), settings, commits }
    }

    /// This section as it is in `snapshot`, for one call.
    pub(crate) fn pinned_to(&self, snapshot: &Snapshot) -> Self {
        Self { live: Arc::clone(&self.live), pinned: Some(self.in_snapshot(snapshot)) }
    }

    /// The configuration that it is a section of.
    pub(crate) fn config(&self) -> Option<&Config> {
        self.live.place.as_ref().map(|place| &place.config)
    }

    fn in_snapshot(&self, snapshot: &Snapshot) -> Arc<T> {
        let place = self.live.place.as_ref();
        let now = place.and_then(|place| snapshot.section(place.slot));
        now.unwrap_or_else(|| Arc::clone(&self.live.first))
    }
}

/// Without values: they may be secrets.
impl<T> fmt::Debug for Settings<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings<{}>", std::any::type_name::<T>())
    }
}

/// The changes of a section, from when [`Settings::subscribe`] was called.
pub struct Changes<T> {
    settings: Settings<T>,
    last: Arc<T>,
    commits: Option<watch::Receiver<()>>,
}

impl<T: Send + Sync + 'static> Changes<T> {
    /// Waits until the section is another one than it was at the last answer, and returns it.
    /// Where several changes came in between, only the last one is told. Never ends for settings
    /// that no configuration changes.
    ///
    /// # Cancel safety
    /// Nothing is lost where it is dropped: the next call tells the change.
    pub async fn changed(&mut self) -> Arc<T> {
        loop {
            let now = self.settings.get();
            if !Arc::ptr_eq(&now, &self.last) {
                self.last = Arc::clone(&now);
                return now;
            }
            let told = match &mut self.commits {
                Some(commits) => commits.changed().await.is_ok(),
                None => false,
            };
            if !told {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl<T> fmt::Debug for Changes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changes<{}>", std::any::type_name::<T>())
    }
}

impl<T: SettingsSection> Declared<T> {
    /// The handle. Before the configuration is complete this is a read: what stands there must
    /// not change any more.
    ///
    /// # Errors
    /// Every fault of the section.
    pub(crate) fn settings(self) -> Result<Settings<T>> {
        let first: Typed = self.config.read_section(self.slot)?;
        #[allow(clippy::expect_used, reason = "the slot was declared with this type")]
        let first = first.downcast().expect("declared as this type");
        Ok(Settings { live: Arc::new(Live { place: Some(self), first }), pinned: None })
    }
}
