//! Frameworks with their types erased, on their way from description to transport.

use std::{marker::PhantomData, sync::Arc};

use super::{Lifecycle, Stage, timeline::Step};
use crate::{
    Config, Result,
    application::{AppHandle, Application, DEFAULT_NAME, title},
    container::{Container, ContainerBuilder},
    framework::{Built, Framework, FrameworkContext, IntoFramework, Transport, section_key},
};

/// A framework as it was loaded.
pub(crate) trait Loaded: Send {
    /// Says which handle will come.
    fn announce(&self, builder: &mut ContainerBuilder);

    /// Whether it is a framework of this kind and may have this name.
    fn may_be(&self, kind: &str, name: &str) -> bool;

    /// What the framework wants to be left out of the log.
    fn log_directives(&self) -> &'static str;

    /// Makes the framework from the complete configuration.
    fn configure(self: Box<Self>, config: &Config) -> Box<dyn Configured>;
}

/// A framework that is described in full.
pub(crate) trait Configured: Send {
    fn kind(&self) -> &'static str;
    fn name(&self) -> &str;
    fn build(self: Box<Self>, context: FrameworkContext<'_>) -> Result<Member>;
}

/// A framework that is built: one member of the process.
pub(crate) struct Member {
    pub(crate) app: Arc<dyn Application>,
    pub(crate) transport: Box<dyn Transport>,
    supply: Supply,
}

/// Puts a handle into the container under its own type, which is erased here.
type Supply = Box<dyn FnOnce(&Container) -> Result<()> + Send>;

impl Member {
    pub(crate) fn title(&self) -> String {
        title(self.app.kind(), self.app.name())
    }

    /// The framework's section of the configuration.
    pub(crate) fn section(&self) -> String {
        section_key(self.app.kind(), self.app.name())
    }

    /// Notes in the timeline that it does its part of a stage; also gives its name for reports.
    pub(super) fn begin(&self, lifecycle: &Lifecycle, stage: Stage) -> (Step, String) {
        let title = format!("framework {}", self.title());
        (lifecycle.timeline().begin(stage, Some(title.clone())), title)
    }

    /// Puts the handle into the container.
    pub(crate) fn supply(&mut self, container: &Container) -> Result<()> {
        std::mem::replace(&mut self.supply, Box::new(|_| Ok(())))(container)
    }
}

pub(crate) struct Load<L, M>(L, PhantomData<fn() -> M>);

impl<L, M> Load<L, M> {
    pub(crate) fn new(loadable: L) -> Self {
        Self(loadable, PhantomData)
    }
}

impl<L: IntoFramework<M>, M> Loaded for Load<L, M> {
    fn announce(&self, builder: &mut ContainerBuilder) {
        type App<L, M> = <<L as IntoFramework<M>>::Framework as Framework>::App;
        let when = "when the frameworks are built, after the before-hooks";
        match self.0.name() {
            None => builder.announce_open::<App<L, M>>(when),
            Some(DEFAULT_NAME) => builder.announce::<App<L, M>>(when),
            Some(name) => builder.announce_named::<App<L, M>>(name, when),
        }
    }

    fn may_be(&self, kind: &str, name: &str) -> bool {
        let same_kind = <<L as IntoFramework<M>>::Framework as Framework>::App::KIND == kind;
        same_kind && self.0.name().is_none_or(|known| known == name)
    }

    fn log_directives(&self) -> &'static str {
        L::Framework::LOG_DIRECTIVES
    }

    fn configure(self: Box<Self>, config: &Config) -> Box<dyn Configured> {
        Box::new(self.0.into_framework(config))
    }
}

impl<F: Framework> Configured for F {
    fn kind(&self) -> &'static str {
        F::App::KIND
    }

    fn name(&self) -> &str {
        Framework::name(self)
    }

    fn build(self: Box<Self>, context: FrameworkContext<'_>) -> Result<Member> {
        let Built { app, transport } = Framework::build(*self, context)?;
        let handle = app.clone();
        Ok(Member {
            app: Arc::new(app),
            transport,
            supply: Box::new(move |container| match handle.name().to_owned() {
                name if name == DEFAULT_NAME => container.supply(Arc::new(handle)),
                name => container.supply_named(&name, Arc::new(handle)),
            }),
        })
    }
}
