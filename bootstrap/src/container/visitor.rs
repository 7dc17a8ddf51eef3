//! The container in the hands of somebody who may not take everything.

use std::sync::Arc;

use super::{Container, Dependency, DependencyKind, construction::Constructing, report};
use crate::Result;

/// Somebody who asks the container for what he did not declare.
#[derive(Debug)]
pub(super) struct Visitor {
    /// The module that he belongs to, where he belongs to one.
    module: Option<Arc<str>>,
}

impl Container {
    /// The same container for code of that module, or of none, which is refused what (other)
    /// modules keep private. Constructions that it begins are not bound by that: what they take,
    /// they have declared.
    pub(crate) fn seen_by(&self, module: Option<&Arc<str>>) -> Self {
        let has_secrets = self.table().slots().any(|slot| slot.private);
        let visitor = has_secrets.then(|| Arc::new(Visitor { module: module.cloned() }));
        self.with_visitor(visitor)
    }

    /// Refuses a constructor what does not exist yet: to wait for it could be for ever.
    pub(super) fn admit_constructor(&self, wanted: &[Dependency]) -> Result<()> {
        let Some(builder) = Constructing::in_this_task(self) else { return Ok(()) };
        for edge in self.table().edges(wanted) {
            let slot = self.table().slot(edge.slot);
            if edge.kind != DependencyKind::Lazy && slot.value.get().is_none() {
                let builder = self.table().slot(builder).key();
                return Err(report::hidden_edge(builder, slot.key()));
            }
        }
        Ok(())
    }

    /// Refuses what is private to a module that the visitor is not of.
    pub(super) fn admit(&self, wanted: &[Dependency]) -> Result<()> {
        let Some(visitor) = self.visitor() else { return Ok(()) };
        for edge in self.table().edges(wanted) {
            let slot = self.table().slot(edge.slot);
            if slot.private && visitor.module.as_ref() != Some(&slot.module) {
                let key = slot.key();
                return Err(report::private(key, &slot.module).context(key.to_string()));
            }
        }
        Ok(())
    }
}
