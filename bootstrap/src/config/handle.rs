//! The handle to the configuration.

use std::{
    fmt,
    panic::Location,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Environment, Layer, Provenance, Section,
    layers::{Entry, Layers, defaults_of},
    mask, read,
    reads::Reads,
    tree,
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
    state: RwLock<State>,
    reads: Mutex<Reads>,
}

struct State {
    layers: Arc<Layers>,
    sealed: bool,
}

impl Config {
    pub(super) fn new(
        environment: Environment,
        root: PathBuf,
        config_dir: PathBuf,
        layers: Layers,
    ) -> Self {
        let state = RwLock::new(State { layers: Arc::new(layers), sealed: false });
        Self(Arc::new(Inner { environment, root, config_dir, state, reads: Mutex::default() }))
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
        read::required(&self.layers(), key)
    }

    /// As [`get_or_default`](Self::get_or_default), for a look at a value that may still change.
    ///
    /// # Errors
    /// As [`get_or_default`](Self::get_or_default).
    pub fn peek_or_default<T: DeserializeOwned + Default>(&self, key: &str) -> Result<T> {
        read::or_default(&self.layers(), key)
    }

    /// A handle to the section at `key`, whose faults surface when it is read.
    #[must_use]
    pub fn section(&self, key: impl Into<String>) -> Section {
        Section::new(self.clone(), key.into())
    }

    /// Whether something other than null is set at `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.layers().find(&tree::segments(key)).is_some_and(|value| !tree::is_null(value))
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
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.sealed {
            return Err(complete().context(source));
        }
        let layers = state.layers.with(Entry::named(layer, &source, values));
        state.layers = Arc::new(layers.map_err(|error| error.context(source))?);
        Ok(())
    }

    /// Where the value at `key` comes from; `None` where nothing is set.
    #[must_use]
    pub fn explain(&self, key: &str) -> Option<Provenance> {
        self.layers().explain(&tree::segments(key))
    }

    /// Everything merged, with secrets masked: values under keys with a word such as `password`,
    /// `token`, `secret` or `key`, and passwords in URLs.
    #[must_use]
    pub fn snapshot(&self) -> serde_json::Value {
        mask::masked(self.layers().merged(), false)
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

    /// Completes the configuration: from here on it does not change, and reads are not recorded.
    ///
    /// # Errors
    /// A value that had been read was changed afterwards; the configuration stays open.
    #[doc(hidden)]
    pub fn seal(&self) -> Result<()> {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let changed = self.reads().changed(&state.layers);
        let changed = changed.into_iter().map(changed_after_read).collect();
        Error::all("configuration changed after it had been read", changed)?;
        state.sealed = true;
        *self.reads() = Reads::default();
        Ok(())
    }

    fn noted(&self, key: &str, place: &'static Location<'static>) -> Arc<Layers> {
        let state = self.state();
        if !state.sealed {
            self.reads().note(key, place, state.layers.find(&tree::segments(key)));
        }
        Arc::clone(&state.layers)
    }

    fn layers(&self) -> Arc<Layers> {
        Arc::clone(&self.state().layers)
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.0.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
