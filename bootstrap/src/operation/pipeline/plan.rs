use std::sync::Arc;

use super::{Band, Chain, MadeOnce, Site, Stage, StageKind, Target};
use crate::{
    Result,
    config::Config,
    container::{Container, Root},
    operation::Exposure,
};

/// What is to stand around one operation on one route, in the order in which a call meets it. An
/// orchestrator may change it: [`Bootstrap::orchestrate`](crate::Bootstrap::orchestrate).
#[derive(Debug)]
pub struct Plan {
    exposure: Exposure,
    stages: Vec<Stage>,
}

impl Plan {
    pub(super) fn new(exposure: Exposure, stages: Vec<Stage>) -> Self {
        let mut plan = Self { exposure, stages };
        plan.sort();
        plan
    }

    /// Orders the stages of each kind by this key; those of one key stay as they are.
    pub(super) fn order(&mut self, key: impl Fn(&Stage) -> usize) {
        self.stages.sort_by_key(key);
        self.sort();
    }

    /// The operation and its route.
    #[must_use]
    pub fn exposure(&self) -> &Exposure {
        &self.exposure
    }

    /// The stages, outermost first. Each kind keeps to its place (middleware, fault filters,
    /// guards, interceptors, aspects): the order counts among those of one kind.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Takes out every stage of this name, and says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.stages.len();
        self.stages.retain(|stage| stage.name() != name);
        self.stages.len() < before
    }

    /// Keeps the stages for which `keep` holds.
    pub fn retain(&mut self, keep: impl FnMut(&Stage) -> bool) {
        self.stages.retain(keep);
    }

    /// Adds a stage behind all others of its kind.
    pub fn push(&mut self, stage: Stage) {
        self.stages.push(stage);
        self.sort();
    }

    /// Adds a stage before the first one of this name, and says whether there is one.
    pub fn insert_before(&mut self, name: &str, stage: Stage) -> bool {
        self.insert(name, 0, stage)
    }

    /// Adds a stage right behind the first one of this name, and says whether there is one.
    pub fn insert_after(&mut self, name: &str, stage: Stage) -> bool {
        self.insert(name, 1, stage)
    }

    /// Moves the first stage of this name before the first one named `other`, and says whether
    /// both are there.
    pub fn move_before(&mut self, name: &str, other: &str) -> bool {
        let (Some(from), true) = (self.position(name), self.position(other).is_some()) else {
            return false;
        };
        let stage = self.stages.remove(from);
        if self.insert(other, 0, stage.clone()) {
            return true;
        }
        self.stages.insert(from, stage);
        false
    }

    fn insert(&mut self, name: &str, offset: usize, stage: Stage) -> bool {
        let Some(position) = self.position(name) else { return false };
        self.stages.insert(position + offset, stage);
        self.sort();
        true
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.name() == name)
    }

    /// Stable: stages of one kind keep their order, but fault filters, of which the innermost is
    /// asked first.
    fn sort(&mut self) {
        self.stages.sort_by_key(|stage| match stage.kind() {
            StageKind::Middleware(Band::Core) => (0, 0),
            StageKind::Middleware(Band::Application) => (1, 0),
            StageKind::FaultFilter => (2, 8 - stage.scope() as u8),
            StageKind::Guard => (3, 0),
            StageKind::Interceptor => (4, u8::from(stage.is_innermost)),
            StageKind::Aspect => (5, 0),
        });
    }

    /// What the stages take from the container.
    pub(crate) fn roots(&self) -> impl Iterator<Item = Root> {
        let with_dependencies = |stage: &Stage| {
            let dependencies = stage.dependencies();
            let title = format!("{} of {}", stage.name(), self.exposure.title());
            (!dependencies.is_empty())
                .then(|| Root::new(title, dependencies).of_module(self.exposure.module.as_str()))
        };
        self.stages.iter().filter_map(with_dependencies)
    }

    /// Makes the chain of it.
    pub(crate) async fn assemble(
        &self,
        container: &Container,
        config: &Config,
        target: Arc<dyn Target>,
        made: &MadeOnce,
    ) -> Result<Chain> {
        let mut chain = Chain::bare(target);
        let site = Site { container, config, exposure: &self.exposure, made };
        for stage in &self.stages {
            let place = || format!("{} of {}", stage.name(), self.exposure.title());
            let added = chain.add(stage, site).await;
            added.map_err(|error| error.context(place()))?;
        }
        Ok(chain)
    }
}
