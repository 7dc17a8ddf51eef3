//! Another configuration while the process runs.

use std::{convert::Infallible, fmt, sync::Arc};

use tokio::sync::Mutex;

use super::Lifecycle;
use crate::{
    Config, Error, Result,
    config::{ChangedKey, ConfigSettings, Effect, Settings, SettingsSection as _, Watch},
    logging::Log,
    witness,
};

/// Reloads the configuration of a running process: everything is read again (files, remote
/// configuration; environment variables and what before-hooks have computed stay as at start),
/// checked as a whole, and then takes the place of the old one at once. Sections that are read
/// through [`Settings`](crate::config::Settings) are new from then on.
///
/// SIGHUP does this in a process that [`run`](crate::Bootstrap::run)s, a changed file where
/// `config.watch` says so. Inject it to do it yourself, for an administrator's operation, say.
#[derive(Clone)]
pub struct Reloader(Arc<Inner>);

struct Inner {
    config: Config,
    files: Watch,
    /// Where the bootstrap owns the process.
    log: Option<Arc<Log>>,
    /// Reloads happen one after the other.
    reloading: Mutex<()>,
}

/// What a reload has done.
#[derive(Debug)]
pub struct Reload {
    changed: Vec<ChangedKey>,
    unfetched: Vec<Error>,
}

impl Reload {
    /// The keys that are different now, in alphabetical order, each with what it was and is
    /// (secrets masked), and whether it needs a restart to count.
    #[must_use]
    pub fn changed(&self) -> &[ChangedKey] {
        &self.changed
    }

    /// Why remote configuration could not be fetched, where it could not: its old values hold.
    #[must_use]
    pub fn unfetched(&self) -> &[Error] {
        &self.unfetched
    }

    fn log(&self) {
        for error in &self.unfetched {
            tracing::warn!("its old values stay: {error:?}");
        }
        for change in &self.changed {
            match change.effect() {
                Effect::Restart => tracing::warn!(%change, "changed, and needs a restart to count"),
                _ => tracing::info!(%change, "changed"),
            }
        }
        tracing::info!(changes = self.changed.len(), "configuration reloaded");
    }
}

impl Reloader {
    pub(super) fn new(config: &Config, log: Option<&Arc<Log>>) -> Self {
        let (files, reloading) = (Watch::new(config), Mutex::default());
        Self(Arc::new(Inner { config: config.clone(), files, log: log.cloned(), reloading }))
    }

    /// Reloads the configuration. The log says what has changed, or why it stays as it is.
    ///
    /// # Errors
    /// What was read is not good, and the old configuration stays; or the process has not
    /// started yet.
    pub async fn reload(&self) -> Result<Reload> {
        let outcome = self.replace().await;
        match &outcome {
            Ok(reload) => reload.log(),
            Err(error) => tracing::error!("the old configuration stays: {error:?}"),
        }
        outcome
    }

    async fn replace(&self) -> Result<Reload> {
        let Inner { config, files, log, reloading } = &*self.0;
        let _one_at_a_time = reloading.lock().await;
        let mut fetched = config.fetch_remotes().await?;
        files.note_read();
        let rebuilt = config.rebuilt(&fetched)?;
        let prepared = config.prepare(&rebuilt)?;
        let changed = config.commit(prepared);
        if let Some(log) = log {
            log.apply(log.prepare(config));
        }
        let unfetched = std::mem::take(&mut fetched.failed);
        config.remember_fetched(fetched);
        self.write_down();
        Ok(Reload { changed, unfetched })
    }

    /// Keeps on disk what is only useful there, which is no reason to stop.
    fn write_down(&self) {
        self.0.config.keep_remotes();
        if let Err(error) = write_dump(&self.0.config) {
            tracing::warn!("{error:?}");
        }
    }

    /// Reloads at each change of a config file while `config.watch` is on, until the process
    /// stops.
    pub(super) fn follow_files(&self, lifecycle: &Lifecycle) -> Result<()> {
        let config = &self.0.config;
        let own =
            config.declare::<ConfigSettings>("polyport", ConfigSettings::KEY, Effect::Live)?;
        let (reloader, lifecycle, settings) = (self.clone(), lifecycle.clone(), own.settings()?);
        witness::spawn(async move {
            tokio::select! {
                () = lifecycle.stop_requested() => {}
                never = reloader.watch(settings) => match never {},
            }
        });
        Ok(())
    }

    async fn watch(&self, settings: Settings<ConfigSettings>) -> Infallible {
        let mut changes = settings.subscribe();
        loop {
            let is_on = settings.get().watch;
            tokio::select! {
                _ = changes.changed() => {}
                () = self.0.files.changed(), if is_on => {
                    tracing::info!("a configuration file has changed");
                    // The log has told it.
                    let _ = self.reload().await;
                }
            }
        }
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

/// Writes the dump, where `config.dump` says so.
pub(super) fn write_dump(config: &Config) -> Result<()> {
    let settings: ConfigSettings = config.peek_or_default(ConfigSettings::KEY)?;
    match settings.dump.path() {
        Some(folder) => config
            .dump()
            .write(config.root().join(folder))
            .map_err(|error| error.context("config.dump")),
        None => Ok(()),
    }
}
