//! Frameworks with their types erased, on their way from description to transport.

use std::{any::TypeId, marker::PhantomData, sync::Arc};

use super::{Lifecycle, Stage, runner::Runner, timeline::Step};
use crate::{
    Config, Result,
    application::{AppHandle, Application, DEFAULT_NAME, title},
    config::{Declared, Effect, Settings, checked_in_code},
    container::{Container, ContainerBuilder},
    framework::{
        Built, CommandArgument, Framework, FrameworkContext, IntoFramework, NoSettings,
        SettingsSource, Transport,
    },
};

/// A framework as it was loaded.
pub(crate) trait Loaded: Send {
    /// Says which handle will come.
    fn announce(&self, builder: &mut ContainerBuilder);

    /// Whether it is a framework of this kind and may have this name.
    fn may_be(&self, kind: &str, name: &str) -> bool;

    /// What the framework wants to be left out of the log.
    fn log_directives(&self) -> &'static str;

    /// What it adds to the command line.
    fn commands(&self) -> &'static [CommandArgument];

    /// Makes the framework from the complete configuration.
    fn configure(self: Box<Self>, config: &Config) -> Box<dyn Configured>;
}

/// A framework that is described in full.
pub(crate) trait Configured: Send {
    fn kind(&self) -> &'static str;
    fn name(&self) -> &str;

    /// The section of the configuration that its settings come from.
    fn section(&self) -> String;

    /// Says whose the section is, so that it is checked with all others.
    fn declare(&mut self, config: &Config) -> Result<()>;

    fn build(self: Box<Self>, context: FrameworkContext<'_>) -> Result<Member>;
}

/// A framework that is built: one member of the process.
pub(crate) struct Member {
    pub(crate) app: Arc<dyn Application>,
    pub(crate) transport: Runner,
    section: String,
    commands: &'static [CommandArgument],
    supply: Supply,
}

/// Puts a handle into the container under its own type, which is erased here.
type Supply = Box<dyn FnOnce(&Container) -> Result<()> + Send>;

impl Member {
    pub(crate) fn title(&self) -> String {
        title(self.app.kind(), self.app.name())
    }

    /// The section of the configuration that its settings come from.
    pub(crate) fn section(&self) -> &str {
        &self.section
    }

    /// What it adds to the command line.
    pub(super) fn commands(&self) -> &'static [CommandArgument] {
        self.commands
    }

    /// Whether it answers from when all are built until everything else is closed.
    pub(super) fn serves_throughout(&self) -> bool {
        self.transport.ask(Transport::serves_throughout).unwrap_or(false)
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
        announce_settings::<L::Framework>(self.0.name(), builder);
    }

    fn may_be(&self, kind: &str, name: &str) -> bool {
        let same_kind = <<L as IntoFramework<M>>::Framework as Framework>::App::KIND == kind;
        same_kind && self.0.name().is_none_or(|known| known == name)
    }

    fn log_directives(&self) -> &'static str {
        L::Framework::LOG_DIRECTIVES
    }

    fn commands(&self) -> &'static [CommandArgument] {
        L::Framework::COMMANDS
    }

    fn configure(self: Box<Self>, config: &Config) -> Box<dyn Configured> {
        Box::new(Described { framework: self.0.into_framework(config), settings: Place::Unknown })
    }
}

/// Says that the framework's settings can be injected once it is described.
fn announce_settings<F: Framework>(name: Option<&str>, builder: &mut ContainerBuilder) {
    if TypeId::of::<F::Settings>() == TypeId::of::<NoSettings>() {
        return;
    }
    let when = "when the configuration is complete, after the before-hooks";
    match name {
        None => builder.announce_open::<Settings<F::Settings>>(when),
        Some(DEFAULT_NAME) => builder.announce::<Settings<F::Settings>>(when),
        Some(name) => builder.announce_named::<Settings<F::Settings>>(name, when),
    }
}

/// A framework that is described, and where its settings stand.
struct Described<F: Framework> {
    framework: F,
    settings: Place<F::Settings>,
}

enum Place<S> {
    Unknown,
    Code(Settings<S>),
    Section(Declared<S>, String),
}

impl<F: Framework> Described<F> {
    fn title(&self) -> String {
        title(F::App::KIND, self.framework.name())
    }

    fn own_section(&self) -> String {
        match self.framework.name() {
            DEFAULT_NAME => F::App::KIND.to_owned(),
            name => format!("{}_{name}", F::App::KIND),
        }
    }

    /// The settings, checked.
    fn settings(&self) -> Result<Settings<F::Settings>> {
        match &self.settings {
            Place::Code(settings) => Ok(settings.clone()),
            Place::Section(declared, _) => declared.clone().settings(),
            Place::Unknown => Ok(Settings::fixed(F::Settings::default())),
        }
    }
}

impl<F: Framework> Configured for Described<F> {
    fn kind(&self) -> &'static str {
        F::App::KIND
    }

    fn name(&self) -> &str {
        self.framework.name()
    }

    fn section(&self) -> String {
        match &self.settings {
            Place::Section(_, key) => key.clone(),
            Place::Code(_) | Place::Unknown => self.own_section(),
        }
    }

    fn declare(&mut self, config: &Config) -> Result<()> {
        let key = match self.framework.settings_source() {
            Some(SettingsSource::Value(settings)) => {
                let settings = checked_in_code(settings)
                    .map_err(|error| error.context(format!("framework {}", self.title())))?;
                self.settings = Place::Code(Settings::fixed(settings));
                return Ok(());
            }
            Some(SettingsSource::Section(section)) => section.key().to_owned(),
            None => self.own_section(),
        };
        let owner = format!("framework {}", self.title());
        self.settings = Place::Section(config.declare(owner, &key, Effect::Restart)?, key);
        Ok(())
    }

    fn build(self: Box<Self>, context: FrameworkContext<'_>) -> Result<Member> {
        let (section, settings) = (self.section(), self.settings()?);
        let value = F::Settings::clone(&settings.get());
        let Built { app, transport } = self.framework.build(value, context)?;
        let handle = app.clone();
        Ok(Member {
            app: Arc::new(app),
            transport: Runner::new(transport),
            section,
            commands: F::COMMANDS,
            supply: Box::new(move |container| {
                let name = handle.name().to_owned();
                if TypeId::of::<F::Settings>() != TypeId::of::<NoSettings>() {
                    supply(container, &name, settings)?;
                }
                supply(container, &name, handle)
            }),
        })
    }
}

/// Puts what was announced for the framework called `name` into the container.
fn supply<T: Send + Sync + 'static>(container: &Container, name: &str, value: T) -> Result<()> {
    match name {
        DEFAULT_NAME => container.supply(Arc::new(value)),
        name => container.supply_named(name, Arc::new(value)),
    }
}
