//! The graph of an application: who provides what, who needs it, and how long it took.

mod collect;
mod draw;

use std::time::Duration;

use serde::{Serialize, Serializer};

pub(crate) use self::collect::graph;

/// What an application consists of, as data: modules, providers, operations and hooks, and who
/// needs whom. [`Bootstrap::graph`](crate::Bootstrap::graph) gives it without starting anything, and
/// [`RunningBootstrap::graph`](crate::RunningBootstrap::graph) with the build times of what runs.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> polyport_bootstrap::Result<()> {
/// use std::sync::Arc;
/// use polyport_bootstrap::{Bootstrap, Framework, module};
///
/// # async fn shown(framework: impl Framework) -> polyport_bootstrap::Result<()> {
/// let numbers = module("numbers", |m| {
///     m.provide_value(Arc::new(7_u32));
///     Ok(())
/// });
/// let graph = Bootstrap::new().load(framework).module(numbers).graph().await?;
/// let seven = graph.providers.iter().find(|provider| provider.title == "u32").unwrap();
/// assert_eq!(seven.module, "numbers");
/// println!("{}", graph.to_mermaid());
/// # Ok(()) }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Graph {
    /// The environment that decided which modules are on.
    pub environment: String,
    /// The modules, those that are on first, in the order in which they were configured.
    pub modules: Vec<GraphModule>,
    /// Every provider; [`GraphEdge::provider`] is a position in this list.
    pub providers: Vec<GraphProvider>,
    /// Every way in which an operation can be called.
    pub operations: Vec<GraphOperation>,
    /// Every hook that declares what it takes.
    pub hooks: Vec<GraphHook>,
}

/// A module.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GraphModule {
    /// Its name.
    pub name: String,
    /// The modules that it needs.
    pub depends_on: Vec<String>,
    /// The modules that it uses where they are there.
    pub optionally_depends_on: Vec<String>,
    /// Why it is off, where it is: `in environment "prod": audit.enabled is false (…)`.
    pub off: Option<String>,
}

/// A provider.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GraphProvider {
    /// What reports call it: `dyn UserRepo`, `Pool "replica"`.
    pub title: String,
    /// The type's full path.
    pub type_name: String,
    /// Its name, where several values have that type.
    pub name: Option<String>,
    /// The module that registered it; `polyport` for the kernel.
    pub module: String,
    /// How long a value lives: `singleton`, `request` or `transient`.
    pub scope: &'static str,
    /// What was registered: `value`, `constructor`, `alias` (another provider's value, seen as
    /// another type), `announced` (it comes during the start, like app handles), or `call` (each
    /// call brings it along).
    pub origin: &'static str,
    /// Whether it is built at start even where nothing reaches it.
    pub eager: bool,
    /// Whether only its own module may take it.
    pub private: bool,
    /// Whether a test has put a value in its place.
    pub overridden: bool,
    /// What it needs.
    pub depends_on: Vec<GraphEdge>,
    /// The operations and hooks that reach it, by title, directly or through others.
    pub used_by: Vec<String>,
    /// Whether its value exists.
    pub built: bool,
    /// How long its own constructor ran, where it has; in JSON `build_time_us`, in microseconds.
    #[serde(rename = "build_time_us", serialize_with = "microseconds")]
    pub build_time: Option<Duration>,
}

/// A way in which an operation can be called.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GraphOperation {
    /// What reports call it: `HTTP GET /users`.
    pub title: String,
    /// The function's name.
    pub name: String,
    /// The protocol: `http`.
    pub protocol: &'static str,
    /// The name of the framework that serves it: `default`, or the one given by `named`.
    pub framework: String,
    /// The module that registered it.
    pub module: String,
    /// What it injects.
    pub depends_on: Vec<GraphEdge>,
}

/// A hook that declares what it takes.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GraphHook {
    /// What reports call it: `hook on_ready of module users`.
    pub title: String,
    /// The moment at which it runs: `on_ready`.
    pub point: &'static str,
    /// The module that registered it; none for those of the bootstrap and of presets.
    pub module: Option<String>,
    /// What it takes.
    pub depends_on: Vec<GraphEdge>,
}

/// A dependency.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GraphEdge {
    /// The position of what is needed in [`Graph::providers`].
    pub provider: usize,
    /// How it is needed: `required`, `optional`, `lazy`, or `all` (one of several of its type).
    pub kind: String,
}

impl Graph {
    /// The graph for Graphviz: `dot -Tsvg`.
    #[must_use]
    pub fn to_dot(&self) -> String {
        draw::dot(self)
    }

    /// The graph as a Mermaid flowchart, which GitHub and GitLab show in Markdown.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        draw::mermaid(self)
    }

    /// The graph as JSON, indented.
    ///
    /// # Errors
    /// None that is known: everything in it can be written.
    pub fn to_json(&self) -> crate::Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

fn microseconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)).serialize(serializer)
}
