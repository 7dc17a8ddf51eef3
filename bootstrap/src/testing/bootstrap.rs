use std::{
    collections::BTreeSet,
    ffi::OsString,
    fmt,
    future::{Future, IntoFuture},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::json;

use super::{Ledger, Recorder, TestApp, recorder, start};
use crate::{
    Bootstrap, Error, Module, Result,
    config::Environment,
    framework::{Leftover, Witness},
    lifecycle::Lifecycle,
};

/// How long a start may take, unless the test says otherwise.
const START: Duration = Duration::from_secs(60);

/// A bootstrap on its way into a test: [`create_bootstrap`](super::create_bootstrap).
#[must_use = "nothing starts before it is awaited"]
pub struct TestBootstrap {
    bootstrap: Bootstrap,
    errors: Vec<Error>,
    ledger: Arc<Ledger>,
    allowed: BTreeSet<Leftover>,
    start_within: Duration,
}

impl fmt::Debug for TestBootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBootstrap").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

/// As [`create_bootstrap`](super::create_bootstrap).
impl From<Bootstrap> for TestBootstrap {
    fn from(mut bootstrap: Bootstrap) -> Self {
        recorder::listen();
        let ledger = Arc::new(Ledger::default());
        let options = &mut bootstrap.plan.options;
        options.environment = Some(Environment::unittest());
        options.free_ports = true;
        options.witness = Witness::of(&ledger);
        let (errors, allowed) = (Vec::new(), BTreeSet::new());
        Self { bootstrap, errors, ledger, allowed, start_within: START }
    }
}

impl TestBootstrap {
    /// Replaces whatever provides `T`, which is then never constructed:
    /// `.override_value::<dyn UserRepo>(Arc::new(FakeRepo))`.
    pub fn override_value<T: ?Sized + Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        let options = &mut self.bootstrap.plan.options;
        options.overrides.push(Box::new(move |builder| builder.override_value(value)));
        self
    }

    /// Replaces the `T` called `name`:
    /// `.override_named::<Pool>("replica", Arc::new(Pool::fake()))`.
    pub fn override_named<T: ?Sized + Send + Sync + 'static>(
        mut self,
        name: impl Into<String>,
        value: Arc<T>,
    ) -> Self {
        let (options, name) = (&mut self.bootstrap.plan.options, name.into());
        options.overrides.push(Box::new(move |builder| builder.override_named(&name, value)));
        self
    }

    /// Sets a configuration value above every other source: `.config("users.page_size", 5)`. The
    /// start fails where nobody knows the key: nobody has declared its section, no other source sets
    /// anything in that, and nobody has read it up to the end of the start.
    pub fn config(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        let key = key.into();
        let value = match key.split('.').any(str::is_empty) {
            false => serde_json::to_value(value).map_err(|error| {
                Error::configuration("the value cannot be written as JSON").caused_by(error)
            }),
            true => Err(Error::configuration("a key has no empty parts")
                .advise("name what is to be set: \"users.page_size\"")),
        };
        match value {
            Ok(value) => self.bootstrap.plan.options.config.push((key, value)),
            Err(error) => self.errors.push(error.context(format!("override of {key:?}"))),
        }
        self
    }

    /// Adds a module: one that only this test needs.
    pub fn with_module<M: Module>(mut self, module: M) -> Self {
        self.bootstrap = self.bootstrap.module(module);
        self
    }

    /// Turns the module called `name` on or off, whatever it and the configuration say of that. A
    /// name that no module has is an error.
    pub fn module(self, name: &str, is_on: bool) -> Self {
        self.config("modules", json!({ name: { "enabled": is_on } }))
    }

    /// Turns the module called `name` off.
    pub fn without_module(self, name: &str) -> Self {
        self.module(name, false)
    }

    /// Runs in another environment than `unittest`.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.bootstrap.plan.options.environment = Some(environment);
        self
    }

    /// Takes these for the process's environment variables.
    pub fn variables<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(key, value)| (key.into(), value.into()));
        self.bootstrap.plan.options.variables = Some(variables.collect());
        self
    }

    /// Sets the application's base directory, which need not be there: without it there are no
    /// config files.
    pub fn root(mut self, directory: impl Into<PathBuf>) -> Self {
        self.bootstrap.plan.options.root = Some(directory.into());
        self.bootstrap.plan.options.root_may_be_missing = true;
        self
    }

    /// Binds the ports that the configuration names, not free ones.
    pub fn configured_ports(mut self) -> Self {
        self.bootstrap.plan.options.free_ports = false;
        self
    }

    /// How long the start may take until it is given up; default 60 s. It is measured by a clock
    /// that no test pauses, on a thread of its own, so that it is kept even where the application
    /// blocks a thread of the runtime.
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.start_within = limit;
        self
    }

    /// Lets the test leave something of this kind at the end, which
    /// [`close`](TestApp::close) otherwise fails for. Background tasks are then cancelled at once.
    pub fn may_leave(mut self, kind: Leftover) -> Self {
        self.allowed.insert(kind);
        self
    }

    /// What happens in the application; also where it does not start.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        self.ledger.recorder().clone()
    }

    /// Opens no port and connects to none: HTTP, WebSocket and gRPC are served to the clients of the
    /// test over pipes in this process, through the same code as sockets, and AMQP is spoken over
    /// pipes with the in-memory broker, whichever the configuration names. So a test needs nothing of
    /// the machine, starts and stops in milliseconds, and with `tokio::time::pause` sees calls,
    /// timeouts and stops without waiting. No handle has a `local_addr` or a `url` then, and all
    /// addresses that the configuration names mean one and the same way in; TLS is spoken as on a
    /// socket.
    ///
    /// # Examples
    /// ```no_run
    /// use polyport_bootstrap::{Bootstrap, Result, testing::create_bootstrap};
    ///
    /// async fn needs_no_port(bootstrap: Bootstrap) -> Result<()> {
    ///     let app = create_bootstrap(bootstrap).in_memory().await?;
    ///     assert!(app.addresses().iter().all(|bound| bound.address.is_none()));
    ///     app.close().await
    /// }
    /// ```
    pub fn in_memory(mut self) -> Self {
        self.bootstrap.plan.options.in_memory = true;
        self
    }

    /// Checks everything that can be checked without serving, as [`Bootstrap::check`] does.
    ///
    /// # Errors
    /// Returns one report of what would keep the process from starting.
    pub async fn check(self) -> Result<()> {
        Error::all("options of the test do not fit", self.errors)?;
        self.bootstrap.check().await
    }

    /// Does what a framework adds to the command line, as [`Bootstrap::command`] does.
    ///
    /// # Errors
    /// Returns why it could not be done.
    pub async fn command(self, name: &str, value: Option<&str>) -> Result<String> {
        Error::all("options of the test do not fit", self.errors)?;
        self.bootstrap.command(name, value).await
    }

    /// Starts, and gives the phase to watch while that is under way.
    pub fn starting(self) -> (Lifecycle, impl Future<Output = Result<TestApp>> + Send) {
        let lifecycle = Lifecycle::default();
        let watched = lifecycle.clone();
        let start = async move {
            Error::all("options of the test do not fit", self.errors)?;
            self.ledger.allow(self.allowed);
            recorder::lives_here(&self.ledger);
            let plan = self.bootstrap.plan;
            let started = start::start(plan, lifecycle, self.start_within).await;
            let running = started.inspect_err(|_| self.ledger.recorder().show())?;
            Ok(TestApp::new(running, self.ledger))
        };
        (watched, start)
    }
}

impl IntoFuture for TestBootstrap {
    type Output = Result<TestApp>;
    type IntoFuture = BoxFuture<'static, Result<TestApp>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.starting().1)
    }
}
