use std::{
    any::{Any, TypeId},
    sync::Arc,
};

use crate::{
    application::title,
    config::nearest,
    operation::{Codecs, Endpoint, Exposure, Protocol},
};

/// What modules register for one kind of framework.
pub trait RouteSet: Default + Send + 'static {
    /// The kind of framework that it is for.
    const KIND: &'static str;
    /// The protocol on which its operations are served.
    const PROTOCOL: Protocol;

    /// Every operation in it, with its route as reports name it.
    fn routes(&self) -> Vec<(String, Endpoint)>;

    /// Which of `routes` answers what somebody asks for, as `--route` does: its position. The
    /// protocol may know more than equality: that `GET /users/7` is `GET /users/{id}`.
    ///
    /// # Errors
    /// Says why none does.
    fn find(routes: &[&str], asked: &str) -> Result<usize, String> {
        let position = routes.iter().position(|route| *route == asked);
        position.ok_or_else(|| nearest_of(routes, asked))
    }
}

/// That nothing is called `asked`, and what is called alike.
fn nearest_of(routes: &[&str], asked: &str) -> String {
    match nearest(asked, routes.iter().copied()) {
        Some(near) => format!("there is no {asked:?}, but {near:?}"),
        None => format!("there is no {asked:?}"),
    }
}

/// What one module registered.
#[derive(Debug)]
pub struct Registered<R> {
    /// The module's name.
    pub module: Arc<str>,
    /// What it registered.
    pub routes: R,
}

impl<R: RouteSet> Registered<R> {
    /// The entries for the registry of operations, as served by the framework of this name.
    #[must_use]
    pub fn exposures(&self, framework: &str) -> Vec<Exposure> {
        exposures(&self.routes, &self.module, framework)
    }
}

/// The entries for the registry of operations of a set of routes.
pub fn exposures<R: RouteSet>(routes: &R, module: &str, framework: &str) -> Vec<Exposure> {
    routes
        .routes()
        .into_iter()
        .map(|(route, endpoint)| Exposure {
            protocol: R::PROTOCOL,
            framework: framework.to_owned(),
            route,
            module: module.to_owned(),
            endpoint,
        })
        .collect()
}

fn erased_exposures<R: RouteSet>(
    routes: &(dyn Any + Send),
    module: &str,
    framework: &str,
) -> Vec<Exposure> {
    let routes = routes.downcast_ref::<R>();
    routes.map_or_else(Vec::new, |routes| exposures(routes, module, framework))
}

/// Everything that modules registered for frameworks.
#[derive(Default)]
pub(crate) struct Registrations {
    entries: Vec<Entry>,
    codecs: Arc<Codecs>,
}

struct Entry {
    module: Arc<str>,
    kind: &'static str,
    framework: String,
    type_id: TypeId,
    routes: Box<dyn Any + Send>,
    exposures: fn(&(dyn Any + Send), &str, &str) -> Vec<Exposure>,
}

impl Entry {
    fn all_exposures(&self) -> Vec<Exposure> {
        (self.exposures)(&*self.routes, &self.module, &self.framework)
    }
}

impl Registrations {
    pub(super) fn add<R: RouteSet>(&mut self, module: Arc<str>, framework: &str, routes: R) {
        self.entries.push(Entry {
            module,
            kind: R::KIND,
            framework: framework.to_owned(),
            type_id: TypeId::of::<R>(),
            routes: Box::new(routes),
            exposures: erased_exposures::<R>,
        });
    }

    /// The formats of bodies, for more to be added.
    pub(super) fn codecs_mut(&mut self) -> &mut Codecs {
        Arc::make_mut(&mut self.codecs)
    }

    /// The formats of bodies.
    pub(crate) fn codecs(&self) -> &Arc<Codecs> {
        &self.codecs
    }

    /// Takes everything that is for a framework of which `is_loaded` (kind, name) holds, and says
    /// which operations it consists of.
    pub(crate) fn take_exposures(
        &mut self,
        is_loaded: impl Fn(&str, &str) -> bool,
    ) -> Vec<Exposure> {
        self.entries
            .extract_if(.., |entry| is_loaded(entry.kind, &entry.framework))
            .flat_map(|entry| entry.all_exposures())
            .collect()
    }

    /// Which operations [`take_exposures`](Self::take_exposures) would take.
    pub(crate) fn exposures(&self, is_loaded: impl Fn(&str, &str) -> bool) -> Vec<Exposure> {
        let loaded = self.entries.iter().filter(|entry| is_loaded(entry.kind, &entry.framework));
        loaded.flat_map(Entry::all_exposures).collect()
    }

    pub(crate) fn take<R: RouteSet>(&mut self, framework: &str) -> Vec<Registered<R>> {
        let wanted =
            |entry: &mut Entry| entry.type_id == TypeId::of::<R>() && entry.framework == framework;
        self.entries
            .extract_if(.., wanted)
            .filter_map(|entry| {
                let routes = entry.routes.downcast::<R>().ok()?;
                Some(Registered { module: entry.module, routes: *routes })
            })
            .collect()
    }

    /// Says what nobody took: its framework is not loaded.
    pub(crate) fn warn_of_rest(&self) {
        for entry in &self.entries {
            let framework = title(entry.kind, &entry.framework);
            tracing::warn!(
                module = &*entry.module,
                framework,
                "the module registers operations for a framework that is not loaded; they are not served"
            );
        }
    }
}
