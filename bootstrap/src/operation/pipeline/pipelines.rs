use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

use tracing::warn;

use super::{Band, Pipeline, Plan, Stage, StageKind, StageScope, rules::Rules};
use crate::{
    Error, Result,
    config::Config,
    operation::{Exposure, OperationKind},
};

/// All pipelines of one bootstrap, but those of its operations.
#[derive(Clone, Default)]
pub(crate) struct Pipelines {
    /// What the kernel brings, outside of everything.
    shipped: Pipeline,
    application: Pipeline,
    /// By kind and name.
    frameworks: HashMap<(String, String), Pipeline>,
    modules: HashMap<String, Pipeline>,
    orchestrators: Vec<Orchestrator>,
    /// Set when the configuration is complete.
    rules: Option<Arc<Rules>>,
}

/// What the log calls this.
const TARGET: &str = "polyport::middleware";

/// Changes the plans of operations.
type Orchestrator = Arc<dyn Fn(&mut Plan) + Send + Sync>;

impl fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipelines").field("application", &self.application).finish_non_exhaustive()
    }
}

impl Pipelines {
    /// Adds what the kernel brings. What the application has added under the same name stands in
    /// its place.
    pub(crate) fn ship(&mut self, mut pipeline: Pipeline) {
        let own = self.application.stages();
        pipeline.retain(|shipped| own.iter().all(|stage| stage.name() != shipped.name()));
        self.shipped = pipeline.in_scope(StageScope::Application);
    }

    pub(crate) fn of_application(&mut self, pipeline: Pipeline) {
        self.application.append(pipeline.in_scope(StageScope::Application));
    }

    pub(crate) fn of_framework(&mut self, kind: &str, name: &str, pipeline: Pipeline) {
        let known = self.frameworks.entry((kind.to_owned(), name.to_owned())).or_default();
        known.append(pipeline.in_scope(StageScope::Framework));
    }

    pub(crate) fn of_module(&mut self, module: &str, pipeline: Pipeline) {
        let known = self.modules.entry(module.to_owned()).or_default();
        known.append(pipeline.in_scope(StageScope::Module));
    }

    pub(crate) fn orchestrate(&mut self, orchestrator: impl Fn(&mut Plan) + Send + Sync + 'static) {
        self.orchestrators.push(Arc::new(orchestrator));
    }

    /// Says whose the tables of all middleware are that is known by now, so that they are checked
    /// with the whole configuration.
    ///
    /// # Errors
    /// Every table that is somebody else's.
    pub(crate) fn declare(&self, config: &Config) -> Result<()> {
        let declare = |stage: &Stage| stage.table.as_ref()?.declare(config, stage.name()).err();
        Error::all("middleware does not fit", self.all_stages(&[]).filter_map(declare).collect())
    }

    /// Reads what the complete configuration says of all middleware, that of these operations
    /// included.
    ///
    /// # Errors
    /// Every fault of the section `middleware`.
    pub(crate) fn configure(&mut self, config: &Config, operations: &[Exposure]) -> Result<()> {
        let learnt = self.learn(config, operations).err();
        let rules = self.rules.as_ref();
        let named = rules.and_then(|rules| rules.check_names(&self.middleware(operations)).err());
        let doubled = self.check_doubles(operations).err();
        self.tell_idle(operations);
        let faults =
            [learnt, named, doubled].into_iter().flatten().flat_map(Error::into_parts).collect();
        Error::all("middleware is configured wrongly", faults)
    }

    /// Tells what the configuration says to no effect, as far as routes are known by now.
    fn tell_idle(&self, operations: &[Exposure]) {
        let Some(rules) = &self.rules else { return };
        let mut told = BTreeSet::new();
        for stage in self.all_stages(operations) {
            let name = stage.name();
            let Some(rule) = rules.of(stage).filter(|_| told.insert(name)) else { continue };
            for pattern in rule.idle_patterns(operations) {
                let key = format_args!("middleware.{name}.match");
                warn!(target: TARGET, %key, pattern, "covers no route of a module");
            }
            if rule.is_asked_for() && !self.stands_anywhere(name, operations) {
                let key = format_args!("middleware.{name}.enable");
                warn!(target: TARGET, %key, "stands around nothing: give it a limit, or a route");
            }
        }
    }

    fn stands_anywhere(&self, name: &str, operations: &[Exposure]) -> bool {
        operations.iter().any(|exposure| {
            let mut around = self.stages_around(exposure).filter(|stage| stage.name() == name);
            around.any(|stage| stage.is_meant_for(exposure) && self.admits(stage, exposure))
        })
    }

    /// Finds middleware that would vanish without a word: of two of one name, added at one place,
    /// only the later stands.
    fn check_doubles(&self, operations: &[Exposure]) -> Result<()> {
        let mut doubles = BTreeSet::new();
        for exposure in operations {
            let mut known = HashSet::new();
            let stands = |stage: &&Stage| fits(stage, exposure) && stage.is_meant_for(exposure);
            let stages = self.stages_around(exposure).filter(stands).filter(is_middleware);
            let places = stages.map(|stage| (stage.scope(), stage.name()));
            doubles.extend(places.filter(|place| !known.insert(*place)));
        }
        let error = |(scope, name): &(StageScope, &str)| {
            let scope = scope.as_str();
            Error::wiring(format!("two middlewares of one {scope} are called {name}"))
                .advise("give one of them another name: only the one added last would stand")
        };
        Error::all("middleware does not fit", doubles.iter().map(error).collect())
    }

    /// As [`configure`](Self::configure), where the configuration may speak of middleware that is
    /// not known here.
    ///
    /// # Errors
    /// Every fault of what it says of the middleware that is.
    pub(crate) fn learn(&mut self, config: &Config, operations: &[Exposure]) -> Result<()> {
        let mut rules = Rules::new(config)?;
        let learnt = rules.learn(self.all_stages(operations));
        self.rules = Some(Arc::new(rules));
        learnt
    }

    /// What stands around an operation as it is exposed here.
    pub(crate) fn plan(&self, exposure: &Exposure) -> Plan {
        let stands = |stage: &&Stage| {
            fits(stage, exposure) && stage.is_meant_for(exposure) && self.admits(stage, exposure)
        };
        let stages = self.stages_around(exposure).filter(stands).cloned().collect();
        let mut plan = Plan::new(exposure.clone(), innermost_of_each_name(stages));
        if let Some(rules) = &self.rules {
            plan.order(|stage| rules.position(stage));
        }
        self.orchestrators.iter().for_each(|orchestrator| orchestrator(&mut plan));
        plan
    }

    /// Before the configuration is complete, what is off by default is taken to be off.
    fn admits(&self, stage: &Stage, exposure: &Exposure) -> bool {
        match &self.rules {
            Some(rules) => rules.admits(stage, exposure),
            None => stage.table.as_ref().is_none_or(|table| table.is_on_by_default()),
        }
    }

    fn stages_around<'a>(&'a self, exposure: &'a Exposure) -> impl Iterator<Item = &'a Stage> {
        let framework = (exposure.protocol.as_str().to_owned(), exposure.framework.clone());
        let outer = [
            Some(&self.shipped),
            Some(&self.application),
            self.frameworks.get(&framework),
            self.modules.get(&exposure.module),
        ];
        let own = exposure.operation().pipeline();
        outer.into_iter().flatten().chain([own]).flat_map(Pipeline::stages)
    }

    fn all_stages<'a>(&'a self, operations: &'a [Exposure]) -> impl Iterator<Item = &'a Stage> {
        let outer = [&self.shipped, &self.application].into_iter();
        let inner = self.frameworks.values().chain(self.modules.values());
        let own = operations.iter().map(|exposure| exposure.operation().pipeline());
        outer.chain(inner).chain(own).flat_map(Pipeline::stages)
    }

    /// The names of all middleware, in the order in which it was added.
    fn middleware(&self, operations: &[Exposure]) -> Vec<(Arc<str>, Band)> {
        let mut names: Vec<(Arc<str>, Band)> = Vec::new();
        for stage in self.all_stages(operations) {
            let StageKind::Middleware(band) = stage.kind() else { continue };
            if names.iter().all(|(name, of)| (&**name, *of) != (stage.name(), band)) {
                names.push((stage.name().into(), band));
            }
        }
        names
    }
}

/// Of several middlewares of one name the one that was added closest to the operation stands.
fn innermost_of_each_name(stages: Vec<Stage>) -> Vec<Stage> {
    let is_covered = |at: usize, stage: &Stage| {
        let further = stages[at + 1..].iter().filter(is_middleware);
        is_middleware(&stage) && further.into_iter().any(|other| other.name() == stage.name())
    };
    let kept: Vec<bool> =
        stages.iter().enumerate().map(|(at, stage)| !is_covered(at, stage)).collect();
    stages.into_iter().zip(kept).filter_map(|(stage, kept)| kept.then_some(stage)).collect()
}

fn is_middleware(stage: &&Stage) -> bool {
    matches!(stage.kind(), StageKind::Middleware(_))
}

/// Whether a stage has anything to do around what this is.
fn fits(stage: &Stage, exposure: &Exposure) -> bool {
    let operation = exposure.operation();
    if stage.scope() < operation.outermost() {
        return false;
    }
    match operation.kind() {
        OperationKind::Operation => true,
        OperationKind::Native => stage.kind() != StageKind::Aspect,
        OperationKind::Fallback => matches!(stage.kind(), StageKind::Middleware(_)),
    }
}
