//! Configuration that another server keeps.

use std::{
    fmt,
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Config, remote_copy::Copy, tree};
use crate::{Error, ErrorKind, Result, panics};

/// The section that says how remote configuration is fetched.
const SECTION: &str = "config.remote";

/// Configuration that another server keeps (a config center), and how to fetch it: any async
/// closure that returns a table of sections.
///
/// It is merged by a before-hook, above files and below environment variables, and fetched again
/// at each reload. What was fetched is kept on disk once the whole configuration has proved good,
/// for a start at which the server is down. The section `config.remote` ([`RemoteSettings`]) says
/// how often it is tried and whether that copy may be used.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::{Bootstrap, Framework, RemoteConfig};
///
/// fn configured(http: impl Framework) -> Bootstrap {
///     let remote = RemoteConfig::new("config center", async || {
///         // With an HTTP client, say.
///         Ok(serde_json::json!({ "users": { "page_size": 50 } }))
///     });
///     Bootstrap::new().load(http).before(async move |c| remote.sync(&c.config()).await)
/// }
/// ```
#[derive(Clone)]
pub struct RemoteConfig(Arc<Inner>);

struct Inner {
    name: String,
    fetch: Fetch,
}

type Fetch = Box<dyn Fn() -> BoxFuture<'static, Result<Json>> + Send + Sync>;

/// The section `config.remote`: how remote configuration is fetched, and what happens when its
/// server does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct RemoteSettings {
    /// The longest time for one attempt; default 3 s.
    #[serde(with = "humantime_serde")]
    pub time_limit: Duration,
    /// How often it is tried before it has failed, once at least; default 3.
    #[garde(range(min = 1))]
    pub attempts: u32,
    /// The longest pause after the first attempt, default 200 ms; twice as long after each further
    /// one, and by chance shorter, so that many processes do not come at the same moment ("full
    /// jitter").
    #[serde(with = "humantime_serde")]
    pub back_off: Duration,
    /// What the longest pause does not grow beyond; default 5 s.
    #[serde(with = "humantime_serde")]
    pub longest_back_off: Duration,
    /// What a start does when all attempts have failed; default `use-copy`.
    pub on_failure: OnFailure,
    /// The folder of the copies, below the application's root; default `run`.
    pub copies: PathBuf,
}

/// What a start does when remote configuration cannot be fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnFailure {
    /// The start fails.
    Fail,
    /// It goes on with the copy of what was fetched last and was good, and the log says so; where
    /// there is no copy, it fails.
    #[default]
    UseCopy,
}

impl Default for RemoteSettings {
    fn default() -> Self {
        Self {
            time_limit: Duration::from_secs(3),
            attempts: 3,
            back_off: Duration::from_millis(200),
            longest_back_off: Duration::from_secs(5),
            on_failure: OnFailure::default(),
            copies: PathBuf::from("run"),
        }
    }
}

impl RemoteConfig {
    /// The remote configuration called `name`, which is what logs and explanations name it by.
    /// `fetch` is dropped where it takes too long, so it must be cancel-safe.
    pub fn new<F, Fut, V>(name: impl Into<String>, fetch: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V>> + Send + 'static,
        V: Serialize,
    {
        let fetch: Fetch = Box::new(move || {
            let fetched = fetch();
            Box::pin(async move { Ok(serde_json::to_value(fetched.await?)?) })
        });
        Self(Arc::new(Inner { name: name.into(), fetch }))
    }

    /// Fetches it and adds it to `config`, in a before-hook. Of several remote configurations the
    /// later one wins.
    ///
    /// # Errors
    /// No attempt has succeeded, and the copy is not there or not to be used; what was fetched is
    /// no table; or an environment variable does not fit it.
    pub async fn sync(&self, config: &Config) -> Result<()> {
        let settings = config.peek_or_default::<RemoteSettings>(SECTION)?;
        let (values, fetched) = match self.fetch(&settings).await {
            Ok(values) => (values.clone(), Some(values)),
            Err(error) => (self.last_good(config, &settings, error)?, None),
        };
        config.add_from(self.source(), values)?;
        config.remotes().register(self.clone(), fetched);
        Ok(())
    }

    /// What errors, logs and explanations call it.
    pub(super) fn source(&self) -> String {
        format!("remote: {}", self.0.name)
    }

    /// One table, or why there is none after all attempts.
    pub(super) async fn fetch(&self, settings: &RemoteSettings) -> Result<Json> {
        let attempts = settings.attempts.max(1);
        let mut attempt = 1;
        loop {
            match self.fetch_once(settings.time_limit).await {
                Ok(values) => return Ok(values),
                Err(error) if attempt == attempts => return Err(self.failed(attempts, error)),
                Err(error) => {
                    let (remote, pause) = (&self.0.name, settings.pause(attempt));
                    tracing::warn!(remote, attempt, ?pause, "not fetched: {error}");
                    tokio::time::sleep(pause).await;
                }
            }
            attempt += 1;
        }
    }

    async fn fetch_once(&self, limit: Duration) -> Result<Json> {
        let fetching = panics::caught_async((self.0.fetch)());
        let values = tokio::time::timeout(limit, fetching)
            .await
            .map_err(|_| Error::deadline(format!("no answer after {limit:?}")))??;
        tree::table_from_object(&values).map(|_| values)
    }

    fn failed(&self, attempts: u32, error: Error) -> Error {
        let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
        error.or_kind(ErrorKind::Connection).context(format!("{}, tried {times}", self.source()))
    }

    /// The values of the copy, after `error` was all that the server gave.
    fn last_good(&self, config: &Config, settings: &RemoteSettings, error: Error) -> Result<Json> {
        if settings.on_failure == OnFailure::Fail {
            return Err(error.advise(format!(
                "see to its server, or let {SECTION}.on_failure be \"use-copy\""
            )));
        }
        let path = self.copy_path(config.root(), settings);
        let copy = match Copy::read(&path, &self.0.name) {
            Ok(Some(copy)) => copy,
            Ok(None) => {
                let advice = "see to its server: there is no copy of an earlier start at";
                return Err(error.advise(format!("{advice} {}", path.display())));
            }
            Err(broken) => return Err(error.also([broken])),
        };
        let (remote, age) = (&self.0.name, humantime::format_duration(copy.age()).to_string());
        tracing::warn!(remote, age, "starting with the copy of what was last fetched: {error}");
        Ok(copy.values)
    }

    fn copy_path(&self, root: &Path, settings: &RemoteSettings) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = self.0.name.chars().map(plain).collect();
        root.join(&settings.copies).join(format!("remote-{name}.json"))
    }
}

impl fmt::Debug for RemoteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteConfig").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl RemoteSettings {
    /// The pause after this attempt, by chance between none and the longest.
    fn pause(&self, attempt: u32) -> Duration {
        self.longest_pause(attempt).mul_f64(chance())
    }

    fn longest_pause(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.back_off.saturating_mul(doubled).min(self.longest_back_off)
    }
}

/// Between 0 and 1. The standard library's hash maps are seeded by the system's chance; that is
/// good enough to scatter pauses.
fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    f64::from((RandomState::new().hash_one(0) >> 32) as u32) / f64::from(u32::MAX)
}

/// The remote configurations of a process, to be fetched again at a reload.
#[derive(Default)]
pub(super) struct Remotes(Mutex<Vec<Registered>>);

#[derive(Clone)]
struct Registered {
    remote: RemoteConfig,
    /// What was fetched and is not yet on disk.
    unkept: Option<Json>,
}

/// What a reload has fetched.
#[derive(Default)]
pub(crate) struct Fetched {
    pub(super) values: Vec<(RemoteConfig, Json)>,
    /// The remote configurations whose old values stay.
    pub(crate) failed: Vec<Error>,
}

impl Remotes {
    /// A second one of that name replaces the first.
    fn register(&self, remote: RemoteConfig, unkept: Option<Json>) {
        let mut all = self.lock();
        all.retain(|known| known.remote.0.name != remote.0.name);
        all.push(Registered { remote, unkept });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Registered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Config {
    /// Fetches all remote configuration again, at the same time.
    pub(crate) async fn fetch_remotes(&self) -> Result<Fetched> {
        let settings = self.peek_or_default::<RemoteSettings>(SECTION)?;
        let all: Vec<_> = self.remotes().lock().iter().map(|known| known.remote.clone()).collect();
        let fetches = all.iter().map(|remote| remote.fetch(&settings));
        let outcomes = futures_util::future::join_all(fetches).await;
        let mut fetched = Fetched::default();
        for (remote, outcome) in all.into_iter().zip(outcomes) {
            match outcome {
                Ok(values) => fetched.values.push((remote, values)),
                Err(error) => fetched.failed.push(error),
            }
        }
        Ok(fetched)
    }

    /// Writes down what has been fetched, now that the whole configuration has proved good. A
    /// copy that cannot be written is no reason to stop: the log says so.
    pub(crate) fn keep_remotes(&self) {
        let settings = self.peek_or_default::<RemoteSettings>(SECTION).unwrap_or_default();
        for Registered { remote, unkept } in self.remotes().lock().iter_mut() {
            let Some(values) = unkept.take() else { continue };
            let path = remote.copy_path(self.root(), &settings);
            if let Err(error) = Copy::new(values).write(&path, &remote.0.name) {
                let remote = &remote.0.name;
                tracing::warn!(remote, "no copy is kept for a start without its server: {error:?}");
            }
        }
    }

    /// Remembers what a reload has fetched, until it has proved good.
    pub(crate) fn remember_fetched(&self, fetched: Fetched) {
        for (remote, values) in fetched.values {
            self.remotes().register(remote, Some(values));
        }
    }
}
