//! What modules would have registered if they were on, or elsewhere: for the report of what is
//! missing.

use super::{
    modules::{ModuleEntry, Modules},
    switches::Switches,
};
use crate::{
    Config,
    container::{ContainerBuilder, Offer},
    hooks::Hooks,
    module::{ModuleBuilder, Registrations},
    operation::Exposures,
    panics,
};

/// Asks every module once more, on or off, and keeps nothing of it but what it would provide
/// besides.
pub(super) fn offers(modules: &Modules, config: &Config) -> Vec<Offer> {
    let of_others = modules.on.iter().flat_map(|entry| restricted(entry, config));
    let of_off = modules.off.iter().flat_map(|off| {
        let title = off.entry.title();
        let offer = |(key, verb)| Offer {
            text: format!("{title} {verb} {key}, but is off {}", off.why),
            remedy: format!("turn {title} on: {} = true", Switches::key(off.entry.name())),
            key,
        };
        let registered = ask(&off.entry, config, &mut Vec::new());
        registered.offers_since(0).map(offer).collect::<Vec<_>>()
    });
    of_others.chain(of_off).collect()
}

/// What a module that is on keeps for other environments.
fn restricted(entry: &ModuleEntry, config: &Config) -> Vec<Offer> {
    let mut kept = Vec::new();
    ask(entry, config, &mut kept);
    let title = entry.title();
    let offer = |(key, verb, environments)| Offer {
        text: format!("{title} {verb} {key} only for env {environments}"),
        remedy: format!("let {title} do so for env \"{}\" too", config.environment()),
        key,
    };
    kept.into_iter().map(offer).collect()
}

/// What the module registers, as far as it comes; an error or a panic ends that.
fn ask(entry: &ModuleEntry, config: &Config, kept: &mut Kept) -> ContainerBuilder {
    let mut container = ContainerBuilder::new();
    let (mut hooks, mut registrations) = (Hooks::default(), Registrations::default());
    let _ = panics::caught(|| {
        let (container, registrations) = (&mut container, &mut registrations);
        let exposures = Exposures::default();
        let mut builder = ModuleBuilder::new(
            entry.name(),
            config,
            container,
            &mut hooks,
            registrations,
            &exposures,
        );
        builder.ask(kept);
        entry.module().configure(&mut builder)
    });
    container
}

/// What is kept for other environments: the key, what is done with it, and for which.
pub(crate) type Kept = Vec<(crate::container::Key, &'static str, String)>;
