//! The route table: which operation or mounted router answers a request.

use std::{collections::HashMap, path::Path as FsPath, sync::Arc};

use http::{HeaderValue, Method};
use matchit::{InsertError, Params};
use polyport_bootstrap::Error;

use crate::{
    HttpRoutes,
    mount::{self, Mounted, patterns},
    pattern::{self, Shape},
    request::Place,
    routes::Route,
    site::Site,
};

/// Every route of one framework. Paths and mounts have a tree each, since a prefix may reach over
/// paths of the table; where both match, the closer one has the request.
#[derive(Default)]
pub(crate) struct Table {
    paths: matchit::Router<usize>,
    entries: Vec<Path>,
    by_pattern: HashMap<String, usize>,
    mounts: matchit::Router<Mount>,
    prefixes: Vec<(String, String)>,
}

/// What is served at one path.
pub(crate) struct Path {
    pattern: String,
    module: String,
    shape: Shape,
    routes: Vec<Arc<Route>>,
    allow: HeaderValue,
}

#[derive(Clone)]
struct Mount {
    shape: Shape,
    mounted: Arc<Mounted>,
}

/// Who answers a request.
pub(crate) enum Found<'t, 'p> {
    /// An operation, with the path's parameters.
    Route(&'t Arc<Route>, Params<'t, 'p>),
    /// A mounted router; the path that the table has too, by other methods.
    Mount(&'t Arc<Mounted>, Option<&'t Path>),
    /// The table has this path by other methods only.
    WrongMethod(&'t Path),
    /// Nobody.
    Nothing,
}

impl Table {
    pub(crate) fn find<'t, 'p>(&'t self, method: &Method, path: &'p str) -> Found<'t, 'p> {
        let known = self.paths.at(path).ok().map(|m| (&self.entries[*m.value], m.params));
        let mount = self.mounts.at(path).ok().map(|m| m.value);
        match (known, mount) {
            (Some((known, params)), mount) if mount.is_none_or(|m| known.shape <= m.shape) => {
                match (known.route(method), mount) {
                    (Some(route), _) => Found::Route(route, params),
                    (None, Some(mount)) => Found::Mount(&mount.mounted, Some(known)),
                    (None, None) => Found::WrongMethod(known),
                }
            }
            (_, Some(mount)) => Found::Mount(&mount.mounted, None),
            (_, None) => Found::Nothing,
        }
    }

    /// Refuses routes at paths that somebody else takes from this listener, by the names of those
    /// that do.
    pub(crate) fn check_joined(&self, joined: &[(String, String)]) -> Result<(), Error> {
        let hidden = joined.iter().filter_map(|(name, path)| {
            let known = &self.entries[*self.by_pattern.get(path)?];
            let route = known.title();
            let message = format!("{route} is never reached: {name} takes {path} on this listener");
            Some(
                Error::wiring(message).advise(
                    "give one of them another path, or the other framework a port of its own",
                ),
            )
        });
        Error::all("HTTP routes are hidden", hidden.collect())
    }

    /// Adds what a module registered, and says what of it does not fit.
    pub(crate) fn add(&mut self, module: &str, routes: HttpRoutes, site: &Arc<Site>) -> Vec<Error> {
        let mut errors = routes.misuses;
        let place =
            |route: &str| Arc::new(Place { route: route.to_owned(), site: Arc::clone(site) });
        for mut route in routes.routes {
            route.place = place(&route.path);
            errors.extend(self.add_route(module, route).err());
        }
        for mount in routes.mounts {
            let place = place(&mount.pattern());
            errors.extend(self.add_mount(module, mount, place, &site.base).err());
        }
        errors
    }

    fn add_route(&mut self, module: &str, route: Route) -> Result<(), Error> {
        let here = |error: Error| error.context(format!("{} (module {module})", route.title()));
        pattern::check(&route.path).map_err(here)?;
        if let Some(&known) = self.by_pattern.get(&route.path) {
            self.entries[known].add(route);
            return Ok(());
        }
        match self.paths.insert(&route.path, self.entries.len()) {
            Ok(()) => {
                self.by_pattern.insert(route.path.clone(), self.entries.len());
                self.entries.push(Path::new(module, route));
                Ok(())
            }
            Err(InsertError::Conflict { with }) => Err(self.conflict(module, &route, &with)),
            Err(error) => Err(here(pattern::refused(&route.path, &error))),
        }
    }

    fn conflict(&self, module: &str, route: &Route, with: &str) -> Error {
        let other = match self.by_pattern.get(with) {
            Some(&known) => self.entries[known].title(),
            None => with.to_owned(),
        };
        let title = route.title();
        Error::wiring(format!("{title} (module {module}) and {other} match the same requests"))
            .advise("name the parameters of both alike, or give one of them another path")
    }

    fn add_mount(
        &mut self,
        module: &str,
        mount: mount::Mount,
        place: Arc<Place>,
        base: &FsPath,
    ) -> Result<(), Error> {
        let prefix = mount.prefix.clone();
        let prefix = prefix.as_str();
        let here = |error: Error| error.context(format!("mount {prefix} (module {module})"));
        pattern::check(prefix).map_err(here)?;
        if prefix.contains("{*") {
            return Err(here(Error::wiring("a prefix has no {*…}: it reaches over all below it")));
        }
        let prefix = prefix.trim_end_matches('/');
        let refused = |error| match error {
            InsertError::Conflict { with } => self.mounted_twice(module, prefix, &with),
            error => here(pattern::refused(prefix, &error)),
        };
        self.probe(prefix).map_err(refused)?;
        let endpoint = mount.settle(prefix, base).map_err(here)?;
        let mounted = Arc::new(Mounted { endpoint, place });
        for path in patterns(prefix) {
            let entry = Mount { shape: Shape::of(&path), mounted: Arc::clone(&mounted) };
            self.mounts.insert(&path, entry).map_err(|e| here(pattern::refused(&path, &e)))?;
        }
        self.prefixes.push((prefix.to_owned(), module.to_owned()));
        Ok(())
    }

    /// Whether a prefix fits, before axum sees it: axum panics where it does not.
    fn probe(&self, prefix: &str) -> Result<(), InsertError> {
        let mut paths = matchit::Router::new();
        let known = self.prefixes.iter().map(|(known, _)| known.as_str());
        known.chain([prefix]).flat_map(patterns).try_for_each(|path| paths.insert(path, ()))
    }

    fn mounted_twice(&self, module: &str, prefix: &str, with: &str) -> Error {
        let is_other = |(known, _): &&(String, String)| patterns(known).any(|path| path == with);
        let other = self.prefixes.iter().find(is_other);
        let other = other.map_or_else(
            || with.to_owned(),
            |(known, module)| format!("{known}/ (module {module})"),
        );
        Error::wiring(format!(
            "two are mounted over the same paths: {prefix}/ (module {module}) and {other}"
        ))
        .advise("merge routers into one, or give one of them another prefix")
    }
}

impl Path {
    fn new(module: &str, route: Route) -> Self {
        let mut path = Self {
            pattern: route.path.clone(),
            module: module.to_owned(),
            shape: Shape::of(&route.path),
            routes: Vec::with_capacity(1),
            allow: HeaderValue::from_static(""),
        };
        path.add(route);
        path
    }

    /// A second route of one method has been reported by the registry of operations.
    fn add(&mut self, route: Route) {
        if self.routes.iter().any(|known| known.method == route.method) {
            return;
        }
        self.routes.push(Arc::new(route));
        let mut methods: Vec<_> = self.routes.iter().map(|r| r.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        self.allow = allow(methods);
    }

    fn route(&self, method: &Method) -> Option<&Arc<Route>> {
        let by = |method: &Method| self.routes.iter().find(|route| route.method == method);
        by(method).or_else(|| if method == Method::HEAD { by(&Method::GET) } else { None })
    }

    fn title(&self) -> String {
        let methods: Vec<_> = self.routes.iter().map(|route| route.method.as_str()).collect();
        format!("{} {} (module {})", methods.join("/"), self.pattern, self.module)
    }

    /// The value of `Allow`.
    pub(crate) fn allow(&self) -> HeaderValue {
        self.allow.clone()
    }
}

/// The value of `Allow` of a path, with what a mounted router allows too.
pub(crate) fn united(ours: &HeaderValue, others: Option<&HeaderValue>) -> HeaderValue {
    let Some(others) = others.and_then(|value| value.to_str().ok()) else {
        return ours.clone();
    };
    let ours = ours.to_str().unwrap_or_default();
    allow(ours.split(',').chain(others.split(',')).map(str::trim).collect())
}

fn allow(mut methods: Vec<&str>) -> HeaderValue {
    methods.retain(|method| !method.is_empty());
    methods.sort_unstable();
    methods.dedup();
    HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
