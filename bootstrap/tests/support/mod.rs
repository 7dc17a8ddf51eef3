//! A framework that serves nothing and writes down what is asked of it.

#![allow(dead_code, reason = "each test program uses a part of it")]

#[cfg(feature = "testing")]
pub(crate) mod calls;
pub(crate) mod lines;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use polyport_bootstrap::{
    AppCore, AppHandle, Application, Error, Framework, ModuleBuilder, Result, RouteSet, Transport,
    exposures,
    framework::{Activity, Built, Endpoint, FrameworkContext, NoSettings},
    operation::{self, Context, Exposures, Fault, Operation, Pipeline, Protocol, Reply, ReplyBody},
};

/// What happened, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, entry: &str) -> usize {
        self.entries().iter().filter(|known| *known == entry).count()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct FakeApp(Arc<AppCore>, Exposures);

impl FakeApp {
    /// Serves one more operation.
    pub(crate) fn add<M: 'static>(&self, route: &str, operation: impl Operation<M>) -> Result<()> {
        let routes = FakeRoutes(vec![(route.to_owned(), uncallable(operation))]);
        self.1.add(exposures(&routes, "application", self.name()))
    }
}

impl Application for FakeApp {
    fn core(&self) -> &AppCore {
        &self.0
    }
}

impl AppHandle for FakeApp {
    const KIND: &'static str = "fake";
}

/// What modules register for the fake framework: its operations are never called.
#[derive(Debug, Default)]
pub(crate) struct FakeRoutes(Vec<(String, operation::Endpoint)>);

impl RouteSet for FakeRoutes {
    const KIND: &'static str = "fake";
    const PROTOCOL: Protocol = Protocol::new("fake");

    fn routes(&self) -> Vec<(String, operation::Endpoint)> {
        self.0.clone()
    }
}

/// An operation that is known and never called.
pub(crate) fn uncallable<M: 'static>(operation: impl Operation<M>) -> operation::Endpoint {
    let unbound = |_: &Context| Err(Fault::unimplemented("UNBOUND", "is never called"));
    operation::Endpoint::new(operation, unbound, |_, _| Ok(Reply::new(ReplyBody::Empty)))
}

/// Registers an operation for the fake framework of this name.
pub(crate) fn serve<M: 'static, O: Operation<M>>(
    m: &mut ModuleBuilder<'_>,
    framework: &str,
    route: &str,
    operation: O,
) {
    let endpoint = uncallable(operation);
    let route = route.to_owned();
    m.register(framework, |mut routes: FakeRoutes| {
        routes.0.push((route, endpoint));
        routes
    });
}

/// How a fake framework behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fake {
    pub(crate) name: Option<String>,
    pub(crate) log: Log,
    pub(crate) port: u16,
    pub(crate) fails_at: Option<&'static str>,
    pub(crate) panics_at: Option<&'static str>,
    pub(crate) hangs_at: Option<&'static str>,
    pub(crate) pipeline: Pipeline,
}

impl Fake {
    pub(crate) fn new(log: &Log) -> Self {
        Self { log: log.clone(), ..Self::default() }
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    pub(crate) fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = pipeline;
        self
    }

    pub(crate) fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub(crate) fn fails_at(mut self, step: &'static str) -> Self {
        self.fails_at = Some(step);
        self
    }

    pub(crate) fn panics_at(mut self, step: &'static str) -> Self {
        self.panics_at = Some(step);
        self
    }

    pub(crate) fn hangs_at(mut self, step: &'static str) -> Self {
        self.hangs_at = Some(step);
        self
    }

    fn title(&self) -> &str {
        self.name.as_deref().unwrap_or("default")
    }

    fn step(&self, step: &'static str) -> Result<()> {
        self.log.add(format!("{} {step}", self.title()));
        assert!(self.panics_at != Some(step), "{step} panics");
        match self.fails_at {
            Some(failing) if failing == step => Err(Error::other(format!("{step} failed"))),
            _ => Ok(()),
        }
    }
}

impl Framework for Fake {
    type App = FakeApp;
    type Settings = NoSettings;

    const LOG_DIRECTIVES: &'static str = "fake_noise=off";

    fn name(&self) -> &str {
        self.title()
    }

    fn build(self, _: NoSettings, mut context: FrameworkContext<'_>) -> Result<Built<FakeApp>> {
        self.step("build")?;
        context.add_pipeline(self.pipeline.clone());
        for registered in context.take::<FakeRoutes>() {
            context.exposures().add(registered.exposures(self.title()))?;
        }
        let app = FakeApp(Arc::new(context.core()), context.exposures().clone());
        Ok(Built { app, transport: Box::new(self) })
    }
}

#[async_trait]
impl Transport for Fake {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::new("127.0.0.1", self.port)]
    }

    fn link(&mut self) -> Result<()> {
        assert!(self.panics_at != Some("link"), "link panics");
        Ok(())
    }

    async fn bind(&mut self) -> Result<()> {
        self.step("bind")
    }

    async fn serve(&mut self) -> Result<()> {
        self.step("serve")
    }

    async fn failed(&mut self) -> Error {
        assert!(self.panics_at != Some("failed"), "failed panics");
        match self.fails_at {
            Some("failed") => Error::other("lost its socket"),
            _ => std::future::pending().await,
        }
    }

    async fn stop_intake(&mut self) {
        let _ = self.step("stop_intake");
    }

    async fn drain(&mut self) {
        let _ = self.step("drain");
        if self.hangs_at == Some("drain") {
            std::future::pending::<()>().await;
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.step("close")
    }

    fn activity(&self) -> Option<Arc<dyn Activity>> {
        self.hangs_at.map(|_| Arc::new(ThreeCalls) as Arc<dyn Activity>)
    }
}

/// Calls that never end.
struct ThreeCalls;

impl Activity for ThreeCalls {
    fn calls(&self) -> usize {
        3
    }

    fn obstacles(&self) -> Vec<String> {
        vec!["127.0.0.1:9 does not read".to_owned()]
    }
}

/// An application's folder of its own with these files in `config`, removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("polyport-app-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(folder.0.join("config")).unwrap();
        files.iter().for_each(|(name, text)| folder.write(name, text));
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Replaces a file of the configuration as a whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.join("config").join(name);
        let new = path.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// A JSON file below the folder; none where there is none.
    pub(crate) fn json(&self, path: &str) -> Option<serde_json::Value> {
        let text = std::fs::read_to_string(self.0.join(path)).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
