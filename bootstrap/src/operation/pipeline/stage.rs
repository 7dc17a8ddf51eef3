use std::{borrow::Cow, fmt, sync::Arc};

use super::{
    AnyFilter, Aspect, Guard, Interceptor, IntoStage, Supply,
    options::{NoOptions, OptionsOf, Table},
};
use crate::{
    container::Dependency,
    operation::{Exposure, Protocol},
};

/// One thing that stands in the chain of operations: a guard, an interceptor, an aspect, a fault
/// filter or a middleware, with its name and the protocols that it is for.
#[derive(Clone)]
pub struct Stage {
    name: Cow<'static, str>,
    pub(super) part: Part,
    protocols: Option<Arc<[Protocol]>>,
    matching: Option<Matching>,
    /// What the configuration says of it, where it has a table of its own.
    pub(super) table: Option<Arc<dyn Table>>,
    pub(super) scope: StageScope,
    /// Behind all others of its kind, whatever their scope.
    pub(super) is_innermost: bool,
}

/// Which operations a stage is for.
type Matching = Arc<dyn Fn(&Exposure) -> bool + Send + Sync>;

/// What a [`Stage`] was added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StageScope {
    /// Everything.
    Application,
    /// One framework.
    Framework,
    /// One module.
    Module,
    /// One controller.
    Controller,
    /// One operation.
    Operation,
}

impl StageScope {
    /// The scope as a word: `module`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Framework => "framework",
            Self::Module => "module",
            Self::Controller => "controller",
            Self::Operation => "operation",
        }
    }
}

/// Where a middleware stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Band {
    /// Outside: what every call needs, whoever wrote the application.
    Core,
    /// Inside of the core: the application's own.
    Application,
}

/// What a [`Stage`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StageKind {
    /// A middleware, in its band.
    Middleware(Band),
    /// A guard.
    Guard,
    /// An interceptor.
    Interceptor,
    /// An aspect.
    Aspect,
    /// A fault filter.
    FaultFilter,
}

impl StageKind {
    /// The kind as words: `fault filter`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Middleware(Band::Core) => "core middleware",
            Self::Middleware(Band::Application) => "middleware",
            Self::Guard => "guard",
            Self::Interceptor => "interceptor",
            Self::Aspect => "aspect",
            Self::FaultFilter => "fault filter",
        }
    }
}

#[derive(Clone)]
pub(super) enum Part {
    Middleware(Band, Supply<dyn Interceptor>),
    Guard(Supply<dyn Guard>),
    Interceptor(Supply<dyn Interceptor>),
    Aspect(Supply<dyn Aspect>),
    FaultFilter(Supply<dyn AnyFilter>),
}

impl Stage {
    /// A guard.
    pub fn guard(guard: impl IntoStage<dyn Guard>) -> Self {
        Self::of(guard.name(), Part::Guard(guard.supply()))
    }

    /// An interceptor.
    pub fn interceptor(interceptor: impl IntoStage<dyn Interceptor>) -> Self {
        Self::of(interceptor.name(), Part::Interceptor(interceptor.supply()))
    }

    /// An aspect.
    pub fn aspect(aspect: impl IntoStage<dyn Aspect>) -> Self {
        Self::of(aspect.name(), Part::Aspect(aspect.supply()))
    }

    /// A fault filter.
    pub fn fault_filter(filter: impl IntoStage<dyn AnyFilter>) -> Self {
        Self::of(filter.name(), Part::FaultFilter(filter.supply()))
    }

    /// A middleware, in its band.
    pub fn middleware(
        name: impl Into<Cow<'static, str>>,
        band: Band,
        middleware: impl IntoStage<dyn Interceptor>,
    ) -> Self {
        let stage = Self::of(name.into(), Part::Middleware(band, middleware.supply()));
        stage.with_table(OptionsOf::<NoOptions>::on())
    }

    pub(super) fn of(name: Cow<'static, str>, part: Part) -> Self {
        Self {
            name,
            part,
            protocols: None,
            matching: None,
            table: None,
            scope: StageScope::Application,
            is_innermost: false,
        }
    }

    pub(super) fn set_name(&mut self, name: String) {
        self.name = Cow::Owned(name);
    }

    /// Lets the table of its name in the section `middleware` say where it stands.
    pub(super) fn with_table(mut self, table: impl Table + 'static) -> Self {
        self.table = Some(Arc::new(table));
        self
    }

    /// Limits it to the operations for which `is_for` holds; it is asked once for each, at start.
    /// Said twice, both must hold.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Context, operation::{Exposure, Stage}};
    ///
    /// let guard = Stage::guard(|_: &Context| Ok(()))
    ///     .matching(|exposure: &Exposure| exposure.route.contains("/admin"));
    /// # drop(guard);
    /// ```
    #[must_use]
    pub fn matching(mut self, is_for: impl Fn(&Exposure) -> bool + Send + Sync + 'static) -> Self {
        self.matching = Some(match self.matching.take() {
            None => Arc::new(is_for),
            Some(earlier) => Arc::new(move |exposure| earlier(exposure) && is_for(exposure)),
        });
        self
    }

    /// Sets the protocols that it is for; without this, all.
    #[must_use]
    pub fn only_on(mut self, protocols: &[Protocol]) -> Self {
        self.protocols = Some(protocols.into());
        self
    }

    /// Its name: a middleware's own, else that of its type.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> StageKind {
        match &self.part {
            Part::Middleware(band, _) => StageKind::Middleware(*band),
            Part::Guard(_) => StageKind::Guard,
            Part::Interceptor(_) => StageKind::Interceptor,
            Part::Aspect(_) => StageKind::Aspect,
            Part::FaultFilter(_) => StageKind::FaultFilter,
        }
    }

    /// What it was added to.
    #[must_use]
    pub fn scope(&self) -> StageScope {
        self.scope
    }

    /// Whether it is for calls of this protocol.
    #[must_use]
    pub fn is_for(&self, protocol: Protocol) -> bool {
        self.protocols.as_ref().is_none_or(|protocols| protocols.contains(&protocol))
    }

    /// Whether it is for this operation, as far as the code says.
    #[must_use]
    pub fn is_meant_for(&self, exposure: &Exposure) -> bool {
        self.is_for(exposure.protocol)
            && self.matching.as_ref().is_none_or(|is_for| is_for(exposure))
    }

    /// What it takes from the container.
    #[must_use]
    pub fn dependencies(&self) -> Vec<Dependency> {
        match &self.part {
            Part::Middleware(_, supply) | Part::Interceptor(supply) => supply.dependencies(),
            Part::Guard(supply) => supply.dependencies(),
            Part::Aspect(supply) => supply.dependencies(),
            Part::FaultFilter(supply) => supply.dependencies(),
        }
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ({:?})", self.kind(), self.name, self.scope)
    }
}
