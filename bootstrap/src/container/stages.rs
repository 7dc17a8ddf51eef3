//! What the start of a process does with the container, stage by stage.

use std::{
    cmp::Reverse,
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use futures_util::future::join_all;

use super::{
    BuildTime, Container, Key, Root,
    construction::{Failure, running},
    elsewhere::nowhere,
    erased::handle,
    graph::{Graph, Stage},
    report,
    table::{Origin, Slot},
};
use crate::{Error, Result};

impl Container {
    /// Provides what was announced as a `T`. Where a test has replaced it, nothing happens.
    ///
    /// # Errors
    /// It was not announced, has come already, or the container is sealed.
    pub(crate) fn supply<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> Result<()> {
        self.supply_key(&Key::of::<T>(), value)
    }

    /// Provides what was announced as the `T` called `name`.
    ///
    /// # Errors
    /// As [`supply`](Self::supply).
    pub(crate) fn supply_named<T: ?Sized + Send + Sync + 'static>(
        &self,
        name: &str,
        value: Arc<T>,
    ) -> Result<()> {
        self.supply_key(&Key::of::<T>().named(name), value)
    }

    /// Adds a `T` that a module expects (`m.expects::<T>("…")`), once: for values that are fetched
    /// at run time. Where a test has replaced it, nothing happens.
    ///
    /// # Errors
    /// No module expects it, it has come already, or everything is being served already.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use polyport_bootstrap::container::ContainerBuilder;
    ///
    /// struct Licence(&'static str);
    ///
    /// let mut builder = ContainerBuilder::new();
    /// builder.expect::<Licence>("with the answer of the licence server");
    /// let container = builder.build()?;
    /// container.insert(Arc::new(Licence("gold")))?;
    /// assert_eq!(container.try_get::<Licence>().map(|licence| licence.0), Some("gold"));
    /// # Ok::<(), polyport_bootstrap::Error>(())
    /// ```
    pub fn insert<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> Result<()> {
        let key = Key::of::<T>();
        let slot = self.table().find(&key).map(|index| self.table().slot(index));
        let expected = |slot: &Slot| slot.overridden || matches!(slot.origin, Origin::Expected(_));
        if !slot.is_some_and(expected) {
            return Err(report::unexpected(&key));
        }
        self.supply_key(&key, value)
    }

    fn supply_key<T: ?Sized + Send + Sync + 'static>(
        &self,
        key: &Key,
        value: Arc<T>,
    ) -> Result<()> {
        let refused = |why| Err(Error::wiring(format!("{key} cannot be supplied: {why}")));
        let Some(index) = self.table().find(key) else {
            return refused("it was not announced");
        };
        let slot = self.table().slot(index);
        if slot.overridden {
            return Ok(());
        }
        if slot.announced().is_none() {
            return refused("it was not announced");
        }
        if self.inner().sealed.load(Ordering::SeqCst) {
            return refused("the container is sealed");
        }
        if matches!(slot.origin, Origin::Open(_)) {
            slot.late_key.get_or_init(|| key.clone());
        }
        if self.keep(index, handle(value), None) { Ok(()) } else { refused("it has come already") }
    }

    /// Checks that all that `roots` and the providers need is there.
    ///
    /// # Errors
    /// One report of all that is missing, ambiguous, of too short a life or runs in a circle, each
    /// with the path that leads there.
    pub(crate) fn check(&self, roots: &[Root]) -> Result<()> {
        report::all(report::faults(self.table(), roots, Stage::Complete, &nowhere))
    }

    /// Builds the singletons that `roots` reach and those that are eager, independent ones at the
    /// same time, and returns how long each took, in the order in which they were finished.
    ///
    /// # Errors
    /// One report of all that failed, each with the path that leads there. It returns when
    /// nothing is being built any more.
    pub(crate) async fn build_reachable(&self, roots: &[Root]) -> Result<Vec<BuildTime>> {
        let before = self.built().len();
        let wanted = Graph::new(self.table(), roots).wanted();
        let outcomes = join_all(wanted.iter().map(|&index| self.ensure(index))).await;
        let failures = outcomes
            .into_iter()
            .filter_map(|outcome| outcome.err().map(|failure| *failure))
            .collect();
        self.report_failures(roots, failures)?;
        Ok(self
            .built()
            .iter()
            .skip(before)
            .filter_map(|built| {
                let key = self.table().slot(built.slot).key().clone();
                Some(BuildTime { key, duration: built.duration? })
            })
            .collect())
    }

    /// What is being built at this moment: whom to name when it takes too long.
    pub(crate) fn under_construction(&self) -> Vec<Key> {
        let slots = self.table().slots();
        slots.filter(|slot| running(slot).is_some()).map(|slot| slot.key.clone()).collect()
    }

    /// Closes the table: nothing is supplied any more.
    pub(crate) fn seal(&self) {
        self.inner().sealed.store(true, Ordering::SeqCst);
    }

    /// One error for each provider that failed, with the way from a root.
    fn report_failures(&self, roots: &[Root], mut failures: Vec<Failure>) -> Result<()> {
        let graph = Graph::new(self.table(), roots);
        failures.sort_by_key(|failure| Reverse(failure.path.len()));
        let mut told = HashSet::new();
        failures.retain(|failure| told.insert(failure.slot()));
        failures.sort_by_key(Failure::slot);
        let error = |failure: &Failure| self.explain(failure, graph.way(failure));
        let errors: Vec<Error> = failures.iter().map(error).collect();
        Error::all(format!("{} providers could not be built", errors.len()), errors)
    }
}
