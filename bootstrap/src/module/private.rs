//! Providers that modules keep to themselves.

use std::{collections::HashSet, sync::Arc};

use crate::{
    Error,
    container::{Container, Description, Key, Target},
    operation::Exposure,
};

/// What is private, and to which module.
#[derive(Debug, Default)]
pub(crate) struct Private(HashSet<(Key, Arc<str>)>);

impl Private {
    pub(super) fn add(&mut self, module: &Arc<str>, keys: impl IntoIterator<Item = Key>) {
        self.0.extend(keys.into_iter().map(|key| (key, Arc::clone(module))));
    }

    /// Whether its module keeps that provider to itself.
    pub(crate) fn holds(&self, provider: &Description) -> bool {
        self.0.contains(&(provider.key.clone(), Arc::clone(&provider.module)))
    }

    /// One error for each provider or operation of a module that takes what another keeps to
    /// itself.
    pub(crate) fn faults(&self, container: &Container, exposures: &[Exposure]) -> Vec<Error> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let all = container.describe();
        let of_providers = all.iter().flat_map(|provider| {
            let title = provider.key.to_string();
            self.trespasses(&all, &title, &provider.module, &provider.dependencies)
        });
        let of_operations = exposures.iter().flat_map(|exposure| {
            let targets = container.targets(exposure.operation.dependencies());
            self.trespasses(&all, &exposure.title(), &exposure.module, &targets)
        });
        of_operations.chain(of_providers).collect()
    }

    fn trespasses(
        &self,
        all: &[Description],
        title: &str,
        module: &str,
        targets: &[Target],
    ) -> Vec<Error> {
        let needed = targets.iter().map(|target| &all[target.provider]);
        let foreign = needed.filter(|provider| &*provider.module != module && self.holds(provider));
        foreign.map(|provider| trespass(title, module, provider)).collect()
    }
}

fn trespass(title: &str, module: &str, taken: &Description) -> Error {
    let (key, owner) = (&taken.key, &taken.module);
    Error::wiring(format!("it is private to module {owner}"))
        .context(format!("{title} (module {module}) → {key}"))
        .advise(format!(
            "take what module {owner} provides for others, or register {key} there outside of \
             `m.private(…)`"
        ))
}
