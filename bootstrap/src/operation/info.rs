use std::{any::type_name, borrow::Cow, fmt, sync::OnceLock};

use tokio::time::Instant;

use super::{
    Endpoint, Pipeline, Schemas, StageScope,
    attributes::Attributes,
    in_flight::{Flight, Tracked},
};
use crate::container::Dependency;

/// The name of a protocol that operations are served on: `"http"`, `"amqp"`. Each framework
/// brings its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(&'static str);

impl Protocol {
    /// A protocol by name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What stands at the end of a chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OperationKind {
    /// An operation.
    #[default]
    Operation,
    /// Something else that answers by itself: a mounted router. Aspects are not for it, since it
    /// binds nothing.
    Native,
    /// What answers calls that nothing is served for. Only middleware stands around it: there is
    /// nothing to guard.
    Fallback,
}

/// What an operation says of itself: its name, what it injects, and where it can be served.
#[derive(Debug, Clone)]
pub struct OperationInfo {
    kind: OperationKind,
    streams_body: bool,
    takes_json: bool,
    name: Cow<'static, str>,
    dependencies: Vec<Dependency>,
    only_on: Vec<(Protocol, &'static str)>,
    attributes: Attributes,
    pipeline: Pipeline,
    schemas: Schemas,
    outermost: StageScope,
    /// Where its calls are counted, once it is served.
    tracked: OnceLock<Tracked>,
}

impl OperationInfo {
    /// Describes the operation that the function type `F` is: its name is the function's.
    #[must_use]
    pub fn of<F>() -> Self {
        let path = type_name::<F>().trim_end_matches("::{{closure}}");
        let path = path.split_once('<').map_or(path, |(path, _)| path);
        Self::named(path.rsplit("::").next().unwrap_or(path))
    }

    /// Describes something of this name that takes nothing.
    #[must_use]
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: OperationKind::default(),
            streams_body: false,
            takes_json: false,
            name: name.into(),
            dependencies: Vec::new(),
            only_on: Vec::new(),
            attributes: Attributes::default(),
            pipeline: Pipeline::new(),
            schemas: Schemas::default(),
            outermost: StageScope::Application,
            tracked: OnceLock::new(),
        }
    }

    /// Its name: the function's, without its path, unless it was given another.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is an operation, or what else answers.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        self.kind
    }

    pub(super) fn set_kind(&mut self, kind: OperationKind) {
        self.kind = kind;
    }

    /// Whether it reads the body of its calls by itself, bit by bit: frameworks that can do so leave
    /// it unread.
    #[must_use]
    pub fn streams_body(&self) -> bool {
        self.streams_body
    }

    /// Says that it reads the body of its calls by itself.
    pub fn stream_body(&mut self) {
        self.streams_body = true;
    }

    /// Whether its input is bound from JSON, where that is what a call brings.
    #[must_use]
    pub fn takes_json(&self) -> bool {
        self.takes_json
    }

    pub(super) fn take_json(&mut self) {
        self.takes_json = true;
    }

    /// The attribute of this type that it was declared with; of several the one that was declared
    /// closest to the operation.
    #[must_use]
    pub fn attribute<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.attributes.all().next_back()
    }

    /// Every attribute of this type, those of its controller first.
    pub fn attributes<T: Send + Sync + 'static>(&self) -> impl Iterator<Item = &T> {
        self.attributes.all()
    }

    /// The names of the types of all its attributes.
    pub fn attribute_names(&self) -> impl Iterator<Item = &'static str> {
        self.attributes.names()
    }

    /// What stands around it by its own and its controller's declaration.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// What its input and its value look like, as far as that is known: the macros find it out,
    /// and for a plain function [`OperationExt::schemas`](super::OperationExt::schemas) says it.
    #[must_use]
    pub fn schemas(&self) -> Schemas {
        self.schemas
    }

    pub(super) fn set_schemas(&mut self, schemas: Schemas) {
        self.schemas = schemas;
    }

    /// The widest scope whose stages stand around it:
    /// [`OperationExt::within`](super::OperationExt::within).
    #[must_use]
    pub fn outermost(&self) -> StageScope {
        self.outermost
    }

    pub(super) fn set_outermost(&mut self, outermost: StageScope) {
        self.outermost = outermost;
    }

    pub(super) fn set_name(&mut self, name: &'static str) {
        self.name = Cow::Borrowed(name);
    }

    /// Adds what was declared: of a controller around what is there, of the operation itself
    /// behind it.
    pub(super) fn declare(&mut self, scope: StageScope, attributes: &Attributes, own: Pipeline) {
        let own = own.in_scope(scope);
        if scope == StageScope::Controller {
            let inner = std::mem::replace(&mut self.attributes, attributes.clone());
            self.attributes.append(&inner);
            self.pipeline.prepend(own);
        } else {
            self.attributes.append(attributes);
            self.pipeline.append(own);
        }
    }

    /// What the container must provide for it.
    #[must_use]
    pub fn dependencies(&self) -> &[Dependency] {
        &self.dependencies
    }

    /// Adds what an extractor takes from the container.
    pub fn depends_on(&mut self, dependency: Dependency) {
        self.dependencies.push(dependency);
    }

    /// Says that `extractor` exists on `protocol` only.
    pub fn require_protocol(&mut self, protocol: Protocol, extractor: &'static str) {
        self.only_on.push((protocol, extractor));
    }

    /// Counts a call of it until what is returned is dropped, so that a stop waits with its name and
    /// age in sight; frameworks do so as soon as they know which operation is called.
    pub fn enter(&self) -> Option<Flight<'_>> {
        Some(self.tracked.get()?.enter(Instant::now()))
    }

    /// As [`enter`](Self::enter), of a call that has `began` already.
    pub fn enter_at(&self, began: Instant) -> Option<Flight<'_>> {
        Some(self.tracked.get()?.enter(began))
    }

    /// As [`enter`](Self::enter), of a call that has `began` and whose request is not read to its
    /// end yet: [`Flight::read`] says so when it is.
    pub fn enter_reading(&self, began: Instant) -> Option<Flight<'_>> {
        Some(self.tracked.get()?.enter_reading(began))
    }

    /// Where its calls are counted, once it is served.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn tracked(&self) -> Option<&Tracked> {
        self.tracked.get()
    }

    pub(super) fn track(&self, tracked: Tracked) {
        let _ = self.tracked.set(tracked);
    }

    /// Whether it takes this extractor, of those that exist on one protocol only.
    #[must_use]
    pub fn takes(&self, extractor: &str) -> bool {
        self.only_on.iter().any(|(_, own)| *own == extractor)
    }

    /// Why this operation cannot be served on `protocol`, if it cannot.
    #[must_use]
    pub fn refusal_on(&self, protocol: Protocol) -> Option<String> {
        let (wanted, extractor) = self.only_on.iter().find(|(wanted, _)| *wanted != protocol)?;
        Some(format!("operation {} takes {extractor}, which exists on {wanted} only", self.name))
    }
}

/// One way in which an operation can be called.
#[derive(Debug, Clone)]
pub struct Exposure {
    /// The protocol.
    pub protocol: Protocol,
    /// The instance of the framework: `"default"`, or the name given by `named`.
    pub framework: String,
    /// The route as that protocol knows it: `"GET /users"`, `"im.v1.UserService/GetUser"`.
    pub route: String,
    /// The module that registered it.
    pub module: String,
    /// The operation, ready to be called.
    pub endpoint: Endpoint,
}

impl Exposure {
    /// The operation.
    #[must_use]
    pub fn operation(&self) -> &OperationInfo {
        self.endpoint.info()
    }

    /// The route with its protocol, as reports show it: `HTTP GET /users`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.protocol.as_str().to_uppercase(), self.route)
    }
}
