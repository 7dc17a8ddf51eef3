//! The handle to the configuration.

use std::{
    collections::BTreeSet,
    fmt,
    panic::Location,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use arc_swap::{ArcSwap, Guard};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use super::{
    Environment, Layer, Provenance, Section,
    layers::{Entry, Layers, defaults_of},
    read,
    reads::{Reader, Reads},
    remote::Remotes,
    sections::Owned,
    snapshot::{Snapshot, Typed},
    tree,
    will_load::WillLoad,
};
use crate::{Error, Result};

/// The merged configuration: a handle that is cheap to clone, and the same for all clones.
///
/// Keys are dotted (`"users.page_size"`); the empty key is the whole configuration, and a number
/// addresses an array's element. Secrets are in nothing that this type or its errors print.
///
/// # Examples
/// ```
/// use polyport_bootstrap::config::{ConfigBuilder, Environment};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// #[serde(default)]
/// struct Users {
///     page_size: u32,
/// }
///
/// impl Default for Users {
///     fn default() -> Self {
///         Self { page_size: 20 }
///     }
/// }
///
/// let config = ConfigBuilder::new(Environment::unittest(), "no/such/folder").build()?;
/// assert_eq!(config.get_or_default::<Users>("users")?.page_size, 20);
/// config.add(serde_json::json!({ "users": { "page_size": 50 } }))?;
/// assert_eq!(config.peek::<u32>("users.page_size")?, 50);
/// # Ok::<(), polyport_bootstrap::Error>(())
/// ```
#[derive(Clone)]
pub struct Config(Arc<Inner>);

struct Inner {
    environment: Environment,
    root: PathBuf,
    config_dir: PathBuf,
    current: ArcSwap<Snapshot>,
    /// Held by whoever makes the next snapshot of the current one.
    changing: Mutex<()>,
    reads: Mutex<Reads>,
    /// The keys that were read up to the end of the start.
    start_reads: Mutex<BTreeSet<String>>,
    /// The keys that were looked at up to then, in whatever way.
    start_looks: Mutex<BTreeSet<String>>,
    started: AtomicBool,
    owned: Mutex<Vec<Arc<Owned>>>,
    commits: watch::Sender<()>,
    remotes: Remotes,
}

impl Config {
    pub(super) fn new(
        environment: Environment,
        root: PathBuf,
        config_dir: PathBuf,
        layers: Layers,
    ) -> Self {
        Self(Arc::new(Inner {
            environment,
            root,
            config_dir,
            current: ArcSwap::from_pointee(Snapshot::new(layers)),
            changing: Mutex::default(),
            reads: Mutex::default(),
            start_reads: Mutex::default(),
            start_looks: Mutex::default(),
            started: AtomicBool::new(false),
            owned: Mutex::default(),
            commits: watch::Sender::default(),
            remotes: Remotes::default(),
        }))
    }

    /// The value at `key`. An `Option` is `None` where nothing is set.
    ///
    /// A value that is read before the configuration is complete must not change any more; that
    /// start fails where it does. To compute a value from an earlier one, use
    /// [`peek`](Self::peek).
    ///
    /// # Errors
    /// The key is missing (the error names the nearest one, and how to set it), or its value is
    /// not a `T` (the error names the place that set it).
    #[track_caller]
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        read::required(&self.noted(key, Location::caller()), key)
    }

    /// As [`get`](Self::get), and `T::default()` where nothing is set.
    ///
    /// # Errors
    /// The value is not a `T`.
    #[track_caller]
    pub fn get_or_default<T: DeserializeOwned + Default>(&self, key: &str) -> Result<T> {
        read::or_default(&self.noted(key, Location::caller()), key)
    }

    /// As [`get`](Self::get), for a look at a value that may still change: hooks that compute
    /// what they add from what is there.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn peek<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        read::required(&self.looked(key), key)
    }

    /// As [`get_or_default`](Self::get_or_default), for a look at a value that may still change.
    ///
    /// # Errors
    /// As [`get_or_default`](Self::get_or_default).
    pub fn peek_or_default<T: DeserializeOwned + Default>(&self, key: &str) -> Result<T> {
        read::or_default(&self.looked(key), key)
    }

    /// A handle to the section at `key`, whose faults surface when it is read.
    #[must_use]
    pub fn section(&self, key: impl Into<String>) -> Section {
        Section::new(self.clone(), key.into())
    }

    /// Whether something other than null is set at `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.looked(key).find(&tree::segments(key)).is_some_and(|value| !tree::is_null(value))
    }

    /// The environment that the process runs in.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// The application's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// What the application is called: `app.name` in the configuration, else what the bootstrap
    /// says.
    #[must_use]
    pub fn name(&self) -> String {
        self.layers().application_name()
    }

    /// The folder of the config files.
    #[must_use]
    pub fn config_dir(&self) -> &Path {
        &self.0.config_dir
    }

    /// Adds what `object`, a table of sections, sets: above files, below environment variables.
    /// Of several additions the later one wins. Errors and explanations name the line of the
    /// call.
    ///
    /// # Errors
    /// The configuration is complete already (only `before` hooks may add to it), the object is
    /// not a table, or an environment variable does not fit it.
    #[track_caller]
    pub fn add(&self, object: impl Serialize) -> Result<()> {
        let place = Location::caller();
        let source = format!("added by a before-hook at {}:{}", place.file(), place.line());
        self.insert(Layer::Hook, source, object)
    }

    /// As [`add`](Self::add), with a name for where the values come from: `"remote: config
    /// center"`.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_from(&self, source: impl Into<String>, object: impl Serialize) -> Result<()> {
        self.insert(Layer::Hook, source.into(), object)
    }

    /// Adds what the framework or module called `name` brings along (which is known only after
    /// the files have been read), at the layer of defaults that it belongs to. Of several of one
    /// layer the later one wins.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    #[doc(hidden)]
    pub fn add_defaults(
        &self,
        layer: Layer,
        name: impl fmt::Display,
        value: impl Serialize,
    ) -> Result<()> {
        self.insert(layer, defaults_of(layer, name, &self.0.environment), value)
    }

    /// Lays `object` below everything else, as what `source` says.
    pub(crate) fn add_lowest(&self, source: String, object: impl Serialize) -> Result<()> {
        self.insert(Layer::FrameworkDefaults, source, object)
    }

    fn insert(&self, layer: Layer, source: String, object: impl Serialize) -> Result<()> {
        // Serialising runs code of others: not under the lock.
        let values = tree::table_from_object(object).map_err(|error| error.context(&source))?;
        let mut entry = Entry::named(layer, &source, values);
        self.layers().hooks().pass(&mut entry)?;
        let _changing = self.changing();
        let before = self.current();
        if before.sealed {
            return Err(complete().context(source));
        }
        let layers = before.layers.with(entry);
        let layers = layers.map_err(|error| error.context(source))?;
        self.replace(before.with_layers(layers, &self.owned()));
        Ok(())
    }

    /// Lets `hooks` see everything that is set so far, and from now on everything that is added:
    /// each hook each source once.
    ///
    /// # Errors
    /// All that hooks refuse, and what does not fit together afterwards, in one report.
    pub(crate) fn will_load(&self, hooks: WillLoad) -> Result<()> {
        // Hooks are code of others: not under the lock.
        let layers = self.layers().with_hooks(hooks)?;
        let _changing = self.changing();
        self.replace(self.current().with_layers(layers, &self.owned()));
        Ok(())
    }

    /// Lets go of the hooks of modules, when the process has stopped: whoever still holds the
    /// configuration holds nothing else.
    pub(crate) fn retire(&self) {
        let _changing = self.changing();
        let before = self.current();
        let (layers, sections) = (before.layers.without_hooks(), before.sections.clone());
        self.replace(Snapshot { layers: Arc::new(layers), sections, sealed: before.sealed });
    }

    /// Where the value at `key` comes from; `None` where nothing is set.
    #[must_use]
    pub fn explain(&self, key: &str) -> Option<Provenance> {
        self.layers().explain(&tree::segments(key))
    }

    /// Everything merged, with secrets masked: what a section's type has as a
    /// [`Secret`](super::Secret), values under keys with a word such as `password`, `token`,
    /// `secret` or `key`, and passwords in URLs.
    #[must_use]
    pub fn snapshot(&self) -> serde_json::Value {
        self.layers().masked::<&str>(&[])
    }

    /// The values that somebody has read and that were changed afterwards, one sentence each.
    #[must_use]
    pub fn changed_reads(&self) -> Vec<String> {
        let layers = self.layers();
        self.reads().changed(&layers)
    }

    /// What `look` answers, and the keys that it reads to do so.
    pub(crate) fn keys_read_by<T>(&self, look: impl FnOnce(&Self) -> T) -> (T, Vec<String>) {
        let mut all = std::mem::take(&mut *self.reads());
        let answer = look(self);
        let mut reads = self.reads();
        let keys = reads.keys();
        all.extend(std::mem::take(&mut *reads));
        *reads = all;
        (answer, keys)
    }

    /// Completes the configuration: from here on it changes only as a whole, and reads are not
    /// compared any more.
    ///
    /// # Errors
    /// A value that had been read was changed afterwards; the configuration stays open.
    #[doc(hidden)]
    pub fn seal(&self) -> Result<()> {
        let _changing = self.changing();
        let before = self.current();
        let changed = self.reads().changed(&before.layers);
        let changed = changed.into_iter().map(changed_after_read).collect();
        Error::all("configuration changed after it had been read", changed)?;
        let (layers, sections) = (Arc::clone(&before.layers), before.sections.clone());
        self.replace(Snapshot { layers, sections, sealed: true });
        *self.reads() = Reads::default();
        Ok(())
    }

    fn noted(&self, key: &str, place: &'static Location<'static>) -> Arc<Layers> {
        let snapshot = self.current();
        self.note(&snapshot, key, Reader::Code(place));
        Arc::clone(&snapshot.layers)
    }

    fn looked(&self, key: &str) -> Arc<Layers> {
        if !self.0.started.load(Relaxed) {
            lock(&self.0.start_looks).insert(key.to_owned());
        }
        self.layers()
    }

    /// Remembers a read that must not be overtaken by a change.
    fn note(&self, snapshot: &Snapshot, key: &str, reader: Reader) {
        if !snapshot.sealed {
            self.reads().note(key, reader, &snapshot.layers);
        }
        let is_start_read = matches!(reader, Reader::Code(_)) && !self.0.started.load(Relaxed);
        if is_start_read {
            lock(&self.0.start_reads).insert(key.to_owned());
            lock(&self.0.start_looks).insert(key.to_owned());
        }
    }

    /// The section in `slot`, read from what holds now.
    ///
    /// # Errors
    /// Every fault of the section.
    pub(super) fn read_section(&self, slot: usize) -> Result<Typed> {
        let section = Arc::clone(&self.owned_mut()[slot]);
        let _changing = self.changing();
        let before = self.current();
        self.note(&before, &section.key, Reader::Settings(section.type_name));
        if let Some(value) = before.unchanged(&section, &before.layers) {
            return Ok(value);
        }
        before.layers.readable(&section.path)?;
        let checked = section.check(&before.layers, &self.owned());
        let layers = before.layers.with_secrets(&checked.secrets);
        let value = checked.outcome.map_err(|faults| {
            read::told_together(&section.path, faults).err().unwrap_or_else(complete)
        })?;
        let mut sections = before.sections.clone();
        sections.resize(sections.len().max(slot + 1), None);
        sections[slot] = Some(Arc::clone(&value));
        self.replace(Snapshot { layers, sections, sealed: before.sealed });
        Ok(value)
    }

    pub(super) fn remotes(&self) -> &Remotes {
        &self.0.remotes
    }

    pub(super) fn layers(&self) -> Arc<Layers> {
        Arc::clone(&self.current().layers)
    }

    /// What holds now. Takes no lock.
    pub(crate) fn current(&self) -> Guard<Arc<Snapshot>> {
        self.0.current.load()
    }

    pub(super) fn replace(&self, snapshot: Snapshot) {
        self.0.current.store(Arc::new(snapshot));
    }

    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        lock(&self.0.changing)
    }

    pub(super) fn owned(&self) -> Vec<Arc<Owned>> {
        self.owned_mut().clone()
    }

    pub(super) fn owned_mut(&self) -> MutexGuard<'_, Vec<Arc<Owned>>> {
        lock(&self.0.owned)
    }

    pub(super) fn start_reads(&self) -> BTreeSet<String> {
        lock(&self.0.start_reads).clone()
    }

    pub(super) fn start_looks(&self) -> BTreeSet<String> {
        lock(&self.0.start_looks).clone()
    }

    /// Says that the start is over: what is read from here on is read again for each use, so that
    /// a change of it needs no restart.
    pub(crate) fn started(&self) {
        self.0.started.store(true, Relaxed);
    }

    pub(super) fn commits(&self) -> watch::Receiver<()> {
        self.0.commits.subscribe()
    }

    /// Tells who has subscribed that there is another snapshot.
    pub(super) fn tell(&self) {
        self.0.commits.send_replace(());
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        lock(&self.0.reads)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn complete() -> Error {
    Error::configuration("the configuration is complete, nothing can be added any more")
        .advise("add it in a before-hook: those run before the frameworks are built from it")
}

fn changed_after_read(sentence: String) -> Error {
    Error::configuration(sentence).advise(
        "move the hook that changes it before the one that needs the reader, \
         or read with Config::peek if the value may change",
    )
}

/// Without values: they may be secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("environment", &self.0.environment)
            .field("root", &self.0.root)
            .field("config_dir", &self.0.config_dir)
            .finish_non_exhaustive()
    }
}
