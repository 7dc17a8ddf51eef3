//! The registry of operations: which can be called, how, and what they need.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    Computations, Context, Exposure, InFlight, MadeOnce, Pipeline, Pipelines, Plan, Protocol,
};
use crate::{
    Config, Error, Result,
    container::{Container, Root, WeakContainer},
    framework::Witness,
};

/// Every way in which the operations of one bootstrap can be called. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Exposures(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    entries: Vec<Exposure>,
    /// Set when the graph has been checked: what is added later is checked by itself.
    container: Option<WeakContainer>,
    /// Set when the configuration is complete.
    config: Option<Config>,
    sealed: bool,
    in_flight: InFlight,
    pipelines: Pipelines,
    finders: Vec<(Protocol, Find)>,
    computations: Computations,
}

/// Which of some routes of a protocol answers what somebody asks for.
type Find = fn(&[&str], &str) -> Result<usize, String>;

impl Exposures {
    /// None yet, among what stands around all operations.
    pub(crate) fn within(pipelines: Pipelines, witness: Witness) -> Self {
        let in_flight = InFlight::watched_by(witness);
        Self(Arc::new(Mutex::new(State { pipelines, in_flight, ..State::default() })))
    }

    /// Adds what stands around the operations of one framework.
    pub(crate) fn add_framework_pipeline(&self, kind: &str, name: &str, pipeline: Pipeline) {
        self.state().pipelines.of_framework(kind, name, pipeline);
    }

    /// Adds what stands around the operations of one module.
    pub(crate) fn add_module_pipeline(&self, module: &str, pipeline: Pipeline) {
        self.state().pipelines.of_module(module, pipeline);
    }

    /// Sets how routes of this protocol are found.
    pub(crate) fn find_by(&self, protocol: Protocol, find: Find) {
        let finders = &mut self.state().finders;
        if finders.iter().all(|(known, _)| *known != protocol) {
            finders.push((protocol, find));
        }
    }

    /// The one of `entries`, all of one framework, that answers what somebody asks for.
    pub(crate) fn find<'a>(
        &self,
        entries: &[&'a Exposure],
        asked: &str,
    ) -> Result<&'a Exposure, String> {
        let routes: Vec<_> = entries.iter().map(|entry| entry.route.as_str()).collect();
        let protocol = entries.first().map(|entry| entry.protocol);
        let find = self.state().finders.iter().find(|(known, _)| Some(*known) == protocol).copied();
        let (_, find) = find.ok_or_else(|| "nothing is served".to_owned())?;
        find(&routes, asked).map(|position| entries[position])
    }

    /// Adds a value that contexts compute.
    pub(crate) fn extend_context<T: Send + Sync + 'static>(
        &self,
        module: &Arc<str>,
        compute: impl Fn(&Context) -> Option<T> + Send + Sync + 'static,
    ) -> Result<()> {
        self.state().computations.add(module, compute)
    }

    /// All values that contexts compute, when every module has said which it adds.
    pub(crate) fn take_computations(&self) -> Computations {
        std::mem::take(&mut self.state().computations)
    }

    /// What stands around an operation as it is exposed here.
    #[must_use]
    pub fn plan(&self, exposure: &Exposure) -> Plan {
        self.state().pipelines.plan(exposure)
    }

    /// Adds what a framework serves, and checks it where the application has been checked already.
    /// All of it is added, or nothing.
    ///
    /// # Errors
    /// Returns an error for each operation that stands on a route that is taken, that cannot be
    /// served on this protocol, or that injects what nobody provides or what another module keeps
    /// private; and after the tables were
    /// sealed.
    pub fn add(&self, exposures: Vec<Exposure>) -> Result<()> {
        let mut state = self.state();
        if state.sealed {
            return Err(Error::wiring("routes cannot be added once the process serves")
                .advise("add them in a module, or in an on_ready hook"));
        }
        let mut errors = Vec::new();
        let before = state.entries.len();
        for exposure in exposures {
            errors.extend(state.fault_of(&exposure));
            state.entries.push(exposure);
        }
        if let Some(config) = state.config.clone() {
            errors.extend(state.configure(&config).err());
        }
        if let Some(container) = state.container.as_ref().and_then(WeakContainer::upgrade) {
            errors.extend(container.check(&state.roots(&state.entries[before..])).err());
        }
        if errors.is_empty() {
            state.entries[before..].iter().for_each(|added| state.in_flight.track(added));
        } else {
            state.entries.truncate(before);
        }
        Error::all("routes do not fit", errors)
    }

    /// Every entry, in the order of registration.
    #[must_use]
    pub fn all(&self) -> Vec<Exposure> {
        self.state().entries.clone()
    }

    /// The register of their calls.
    pub(crate) fn in_flight(&self) -> InFlight {
        self.state().in_flight.clone()
    }

    pub(crate) fn roots(&self) -> Vec<Root> {
        let state = self.state();
        state.roots(&state.entries)
    }

    /// What `entries`, which are not added yet, need of the container.
    pub(crate) fn roots_of(&self, entries: &[Exposure]) -> Vec<Root> {
        self.state().roots(entries)
    }

    /// Puts together what stands around each operation; nothing can be added any more.
    pub(crate) async fn assemble(&self, container: &Container, config: &Config) -> Result<()> {
        self.seal();
        let (entries, pipelines) = {
            let state = self.state();
            (state.entries.clone(), state.pipelines.clone())
        };
        let (mut errors, made) = (Vec::new(), MadeOnce::default());
        for entry in &entries {
            let plan = pipelines.plan(entry);
            match plan.assemble(container, config, entry.endpoint.target(), &made).await {
                Ok(chain) => entry.endpoint.set_chain(chain),
                Err(error) => errors.push(error),
            }
        }
        Error::all("what stands around operations cannot be put together", errors)
    }

    /// Says whose the tables of the middleware are that modules and the application have added.
    ///
    /// # Errors
    /// Every table that is somebody else's.
    pub(crate) fn declare_middleware(&self, config: &Config) -> Result<()> {
        self.state().pipelines.declare(config)
    }

    /// Reads what the complete configuration says of the middleware around all operations, and of
    /// those that are added later.
    ///
    /// # Errors
    /// Every fault of the section `middleware`.
    pub(crate) fn configure(&self, config: &Config) -> Result<()> {
        let mut state = self.state();
        state.config = Some(config.clone());
        state.configure(config)
    }

    pub(crate) fn check_from_now_on(&self, container: WeakContainer) {
        self.state().container = Some(container);
    }

    fn seal(&self) {
        self.state().sealed = true;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn configure(&mut self, config: &Config) -> Result<()> {
        self.pipelines.configure(config, &self.entries)
    }

    /// What `entries` and what stands around them need of the container.
    fn roots(&self, entries: &[Exposure]) -> Vec<Root> {
        let of_operation = |entry: &Exposure| {
            let dependencies = entry.operation().dependencies().to_vec();
            Root::new(entry.title(), dependencies).per_call().of_module(entry.module.as_str())
        };
        let around =
            entries.iter().flat_map(|entry| self.pipelines.plan(entry).roots().collect::<Vec<_>>());
        entries.iter().map(of_operation).chain(around).collect()
    }

    fn fault_of(&self, new: &Exposure) -> Option<Error> {
        if let Some(refusal) = new.operation().refusal_on(new.protocol) {
            return Some(
                Error::wiring(refusal)
                    .context(format!("{} (module {})", new.title(), new.module))
                    .advise("serve it on that protocol only, or take the argument out"),
            );
        }
        let taken = self.entries.iter().find(|known| {
            known.protocol == new.protocol
                && known.framework == new.framework
                && known.route == new.route
        })?;
        Some(
            Error::wiring(format!(
                "{} is served twice: by {} (module {}) and by {} (module {})",
                new.title(),
                taken.operation().name(),
                taken.module,
                new.operation().name(),
                new.module,
            ))
            .advise("give one of them another route"),
        )
    }
}
