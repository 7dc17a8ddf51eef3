//! Operations of the fake framework that are really called, and stages that write down when they
//! are.

use std::{fmt, future::IntoFuture, sync::Arc, time::Duration};

use async_trait::async_trait;
use polyport_bootstrap::{
    Application as _, Bootstrap, Context, Fault, ModuleBuilder, RunningBootstrap,
    operation::{
        Aspect, Bind, Call, Endpoint, Exposure, Guard, Interceptor, IntoReply, Invocation, Next,
        Operation, Protocol, Reply,
    },
    testing::{TestApp, TestBootstrap, create_bootstrap},
};

use super::{Fake, FakeApp, FakeRoutes, Log};

/// The protocol of the fake framework.
pub(crate) const FAKE: Protocol = Protocol::new("fake");

/// Registers an operation that can be called for the fake framework of this name.
pub(crate) fn answer<M, O>(m: &mut ModuleBuilder<'_>, framework: &str, route: &str, operation: O)
where
    M: 'static,
    O: Operation<M>,
    O::Input: Bind,
    O::Output: IntoReply,
{
    let endpoint = Endpoint::json(operation);
    m.register(framework, |mut routes: FakeRoutes| {
        routes.0.push((route.to_owned(), endpoint));
        routes
    });
}

/// A bootstrap with the fake framework and no files.
pub(crate) fn fake() -> Bootstrap {
    Bootstrap::new().load(Fake::new(&Log::default()))
}

/// It as a test, without config files.
pub(crate) fn alone(bootstrap: Bootstrap) -> TestBootstrap {
    create_bootstrap(bootstrap).root("no/such/folder")
}

impl FakeApp {
    /// The operation on this route.
    pub(crate) fn exposure(&self, route: &str) -> Exposure {
        let mut all = self.1.all().into_iter();
        let own = self.name().to_owned();
        let found = all.find(|one| one.framework == own && one.route == route);
        found.unwrap_or_else(|| panic!("nothing is served on {route}"))
    }

    /// The names of what stands around the operation on this route.
    pub(crate) fn stages(&self, route: &str) -> Vec<String> {
        let plan = self.1.plan(&self.exposure(route));
        plan.stages().iter().map(|stage| stage.name().to_owned()).collect()
    }
}

fn app_of(app: &RunningBootstrap) -> Arc<FakeApp> {
    app.container().try_get().expect("the fake framework is there")
}

/// What stands around the operation on this route.
pub(crate) fn stages(app: &TestApp, route: &str) -> Vec<String> {
    app_of(app).stages(route)
}

/// The context of a call to this route, and what answers it.
pub(crate) fn prepared(
    app: &RunningBootstrap,
    route: &str,
    change: impl FnOnce(&mut Call),
) -> (Endpoint, Context) {
    let exposure = app_of(app).exposure(route);
    let info = Arc::clone(exposure.endpoint.info());
    let mut call = Call::new(FAKE, info, app.container().clone());
    change(&mut call);
    (exposure.endpoint, Context::new(call))
}

/// Calls the operation on this route.
pub(crate) async fn call_with(
    app: &TestApp,
    route: &str,
    change: impl FnOnce(&mut Call),
) -> Result<Reply, Fault> {
    let (endpoint, context) = prepared(app, route, change);
    endpoint.call(&context).await
}

/// Calls the operation on this route with nothing.
pub(crate) async fn call(app: &TestApp, route: &str) -> Result<Reply, Fault> {
    call_with(app, route, |_| {}).await
}

/// The text that an operation answers with.
pub(crate) fn text(answer: &Result<Reply, Fault>) -> &str {
    answer.as_ref().expect("is answered").value::<&'static str>().expect("is a text")
}

/// The reason of the fault that a call ends in.
pub(crate) fn reason(answer: &Result<Reply, Fault>) -> &str {
    answer.as_ref().expect_err("ends in a fault").reason()
}

/// A report without its line breaks.
pub(crate) fn unwrapped(report: &str) -> String {
    report.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Ends long before anybody has to wait for it.
pub(crate) async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future.into_future())
        .await
        .expect("does not take that long")
}

/// A stage of any kind that writes down when a call reaches and leaves it.
#[derive(Clone)]
pub(crate) struct Note(pub(crate) &'static str, pub(crate) Log);

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[async_trait]
impl Interceptor for Note {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        self.1.add(format!("> {}", self.0));
        let answer = next.run(context).await;
        self.1.add(format!("< {}", self.0));
        answer
    }
}

/// As a guard.
#[derive(Debug)]
pub(crate) struct NoteGuard(pub(crate) Note);

#[async_trait]
impl Guard for NoteGuard {
    async fn check(&self, _: &Context) -> Result<(), Fault> {
        self.0.1.add(self.0.0);
        Ok(())
    }
}

/// As an aspect.
#[derive(Debug)]
pub(crate) struct NoteAspect(pub(crate) Note);

#[async_trait]
impl Aspect for NoteAspect {
    async fn around(&self, context: &Context, invocation: Invocation<'_>) -> Result<Reply, Fault> {
        self.0.1.add(format!("> {}", self.0.0));
        let answer = invocation.proceed(context).await;
        self.0.1.add(format!("< {}", self.0.0));
        answer
    }
}
