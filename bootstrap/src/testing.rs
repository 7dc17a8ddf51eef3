//! The whole application in a test: [`create_bootstrap`].

use std::{
    ffi::OsString,
    fmt,
    future::{Future, IntoFuture},
    ops::Deref,
    path::PathBuf,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::{
    Bootstrap, Error, Result,
    config::Environment,
    lifecycle::{self, Lifecycle, RunningBootstrap},
};

/// Starts `bootstrap` as `main` would, but in environment `unittest` and on free ports, so that
/// any number of them can run at once. Set options on what it returns, then await it.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::{Bootstrap, Result, testing::create_bootstrap};
///
/// async fn serves(bootstrap: Bootstrap) -> Result<()> {
///     let app = create_bootstrap(bootstrap).config("users.page_size", 5).await?;
///     app.close().await
/// }
/// ```
#[must_use = "nothing starts before it is awaited"]
pub fn create_bootstrap(bootstrap: Bootstrap) -> TestBootstrap {
    let mut test = TestBootstrap { bootstrap, errors: Vec::new() };
    let options = &mut test.bootstrap.plan.options;
    options.environment = Some(Environment::unittest());
    options.free_ports = true;
    test
}

/// A bootstrap on its way into a test.
#[must_use = "nothing starts before it is awaited"]
pub struct TestBootstrap {
    bootstrap: Bootstrap,
    errors: Vec<Error>,
}

impl fmt::Debug for TestBootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBootstrap").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
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

    /// Sets a configuration value above every other source: `.config("users.page_size", 5)`.
    pub fn config(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        let key = key.into();
        match serde_json::to_value(value) {
            Ok(value) => self.bootstrap.plan.options.config.push((key, value)),
            Err(error) => self.errors.push(
                Error::configuration("the value cannot be written as JSON")
                    .context(format!("override of {key}"))
                    .caused_by(error),
            ),
        }
        self
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

    /// Opens no port and connects to none: HTTP, WebSocket and gRPC are served to the clients of the
    /// test over pipes in this process, through the same code as sockets. So a test needs nothing of
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

    /// Starts, and gives the phase to watch while that is under way.
    pub fn starting(self) -> (Lifecycle, impl Future<Output = Result<TestApp>> + Send) {
        let lifecycle = Lifecycle::default();
        let watched = lifecycle.clone();
        let start = async move {
            Error::all("options of the test do not fit", self.errors)?;
            let running = lifecycle::start(self.bootstrap.plan, lifecycle).await?;
            Ok(TestApp { running })
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

/// A whole application under test. Each framework crate adds its clients: `http()`,
/// `websocket(…)`, `grpc(…)`, `amqp()`. Dropped without [`close`](Self::close), it stops in the
/// background.
#[derive(Debug)]
pub struct TestApp {
    running: RunningBootstrap,
}

impl TestApp {
    /// Stops in order and waits for the end.
    ///
    /// # Errors
    /// Returns everything that went wrong during the stop.
    pub async fn close(self) -> Result<()> {
        self.running.stop("the test is over");
        self.running.wait().await
    }
}

impl Deref for TestApp {
    type Target = RunningBootstrap;

    fn deref(&self) -> &RunningBootstrap {
        &self.running
    }
}
