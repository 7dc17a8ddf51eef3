//! What modules register for HTTP.

use std::{
    any::TypeId,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{Method, StatusCode};
use polyport_bootstrap::{
    DEFAULT_NAME, Error, ModuleBuilder, RouteSet,
    middleware::Timeout,
    operation::{Bind, Endpoint, IntoReply, NoInput, Operation, ParamNames, Protocol},
};

use crate::{BodyLimit, Resources, StaticFiles, find, mount::Mount, request::Place};

/// HTTP, as operations and reports know it.
pub const PROTOCOL: Protocol = Protocol::new("http");

/// Operations by method and path, and axum routers and files by prefix.
///
/// A path is made of literal segments and parameters: `/rooms/{room}/messages`, and at its end
/// `{*rest}` for everything that is left. `{{` and `}}` are literal braces. Parameters are
/// percent-decoded and become fields of the operation's input. Where several paths match, literal
/// segments win over parameters, and those over `{*rest}`, from left to right. One place of a path
/// has one parameter: `/{id}` beside `/{name}` or `/{*rest}` is an error at start.
///
/// HEAD is answered by GET, and OPTIONS with what is allowed, where nothing is registered for
/// them.
///
/// # Examples
/// ```
/// use http::StatusCode;
/// use polyport_bootstrap::operation::{Fault, Input};
/// use polyport_http::HttpRoutes;
///
/// #[derive(serde::Deserialize, garde::Validate)]
/// struct Post {
///     #[garde(length(min = 1))]
///     room: String,
///     #[garde(length(max = 2000))]
///     text: String,
/// }
///
/// async fn post(Input(post): Input<Post>) -> Result<usize, Fault> {
///     Ok(post.text.len())
/// }
///
/// let routes = HttpRoutes::default()
///     .post("/rooms/{room}/messages", post)
///     .status(StatusCode::ACCEPTED);
/// # drop(routes);
/// ```
#[derive(Debug, Default)]
pub struct HttpRoutes {
    pub(crate) routes: Vec<Route>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) misuses: Vec<Error>,
}

/// An operation at its place.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) status: Option<StatusCode>,
    pub(crate) takes_input: bool,
    /// The operation's own limits, where it has some.
    pub(crate) body_limit: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    /// The names of the path's parameters, once the first call has them.
    pub(crate) params: OnceLock<ParamNames>,
    /// Where it is, once the table has it.
    pub(crate) place: Arc<Place>,
}

impl Route {
    pub(crate) fn new<M: 'static, Op>(method: Method, path: &str, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        let endpoint = Endpoint::json(operation);
        Self {
            method,
            path: path.to_owned(),
            body_limit: endpoint.info().attribute().map(|BodyLimit(limit)| *limit),
            timeout: endpoint.info().attribute::<Timeout>().map(|timeout| timeout.after()),
            endpoint,
            status: None,
            takes_input: TypeId::of::<Op::Input>() != TypeId::of::<NoInput>(),
            params: OnceLock::new(),
            place: Arc::default(),
        }
    }

    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident => $method:ident;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name<M: 'static, Op>(self, path: &str, operation: Op) -> Self
            where
                Op: Operation<M>,
                Op::Input: Bind,
                Op::Output: IntoReply,
            {
                self.add(Method::$method, path, operation)
            }
        )*
    };
}

impl HttpRoutes {
    methods! {
        /// Serves GET, and HEAD with it.
        get => GET;
        /// Serves POST.
        post => POST;
        /// Serves PUT.
        put => PUT;
        /// Serves PATCH.
        patch => PATCH;
        /// Serves DELETE.
        delete => DELETE;
        /// Serves HEAD otherwise than by GET; its answer's body is not sent.
        head => HEAD;
        /// Serves OPTIONS otherwise than with the list of what is allowed.
        options => OPTIONS;
    }

    /// Sets the status of success, from 200 to 399, of the route that was added last. Without it,
    /// 200; 204 for an operation without a value (`()`) where the envelope adds nothing. Answers
    /// with 204, 205 or 304 have no body.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        match self.routes.last_mut() {
            Some(route) if (200..400).contains(&status.as_u16()) => route.status = Some(status),
            Some(route) => self.misuses.push(
                Error::wiring(format!("{status} is no status of success"))
                    .context(route.title())
                    .advise("return a Fault from the operation where it fails"),
            ),
            None => self.misuses.push(
                Error::wiring("status(…) stands before any route")
                    .advise("write it behind the route that it is for"),
            ),
        }
        self
    }

    /// Mounts an axum router under a prefix, which its handlers do not see, or at `/` for
    /// whatever the table does not know. Its replies pass no envelope; what it does not know is
    /// answered with 404 in the envelope, unless it has a fallback of its own. Request id,
    /// timeout, body limit and the answer to a panic are the same as for operations, and so are
    /// the middleware, guards, interceptors and fault filters of application, framework and module;
    /// handlers find the call's [`Context`](polyport_bootstrap::operation::Context) among the
    /// request's extensions.
    ///
    /// # Examples
    /// ```
    /// use axum::{Router, routing::get};
    /// use polyport_http::HttpRoutes;
    ///
    /// let pages = Router::new().route("/about", get(async || "about us"));
    /// let routes = HttpRoutes::default().mount("/pages", pages);
    /// # drop(routes);
    /// ```
    #[must_use]
    pub fn mount(mut self, prefix: &str, router: axum::Router) -> Self {
        self.mounts.push(Mount::router(prefix, router));
        self
    }

    /// Serves the files of a folder below a prefix, or at `/` for whatever the table does not know:
    /// [`StaticFiles`] says how. What stands around operations stands around files, too, aspects
    /// excepted.
    #[must_use]
    pub fn files(mut self, prefix: &str, files: impl Into<StaticFiles>) -> Self {
        self.mounts.push(Mount::files(prefix, files.into()));
        self
    }

    /// Serves the actions of a resource in their usual places ([`Resources`] has the table).
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::operation::{Fault, Path};
    /// use polyport_http::HttpRoutes;
    ///
    /// async fn index() -> Result<Vec<u64>, Fault> {
    ///     Ok(vec![7])
    /// }
    ///
    /// async fn show(Path(id): Path<u64>) -> Result<u64, Fault> {
    ///     Ok(id)
    /// }
    ///
    /// // GET /users and GET /users/{id}
    /// let routes = HttpRoutes::default().resources("/users", |users| users.index(index).show(show));
    /// # drop(routes);
    /// ```
    #[must_use]
    pub fn resources(self, path: &str, add: impl FnOnce(Resources) -> Resources) -> Self {
        let routes = add(Resources::default()).into_routes();
        self.prefix(path, |_| routes)
    }

    /// Puts a prefix before all paths that are added within, those of mounted routers too. `/`
    /// within is the prefix itself.
    ///
    /// The setting `http.prefix` puts another one before everything that modules register.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::Fault;
    /// use polyport_http::HttpRoutes;
    ///
    /// async fn users() -> Result<Vec<u64>, Fault> {
    ///     Ok(vec![7])
    /// }
    ///
    /// // GET /v1/users
    /// let routes = HttpRoutes::default().prefix("/v1", |r| r.get("/users", users));
    /// # drop(routes);
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: &str, add: impl FnOnce(Self) -> Self) -> Self {
        let added = add(Self::default()).under(prefix);
        self.routes.extend(added.routes);
        self.mounts.extend(added.mounts);
        self.misuses.extend(added.misuses);
        self
    }

    /// All of it with a prefix before its paths.
    pub(crate) fn under(mut self, prefix: &str) -> Self {
        let bare = prefix.trim_end_matches('/');
        if matches!(prefix, "" | "/") || (bare.starts_with('/') && !bare.contains("{*")) {
            self.routes.iter_mut().for_each(|route| route.path = join(bare, &route.path));
            self.mounts.iter_mut().for_each(|mount| mount.prefix = join(bare, &mount.prefix));
        } else {
            let error = Error::wiring(format!("{prefix:?} is no prefix of paths"));
            self.misuses.push(error.advise("write it like /v1 or /tenants/{tenant}"));
        }
        self
    }

    fn add<M: 'static, Op>(mut self, method: Method, path: &str, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        self.routes.push(Route::new(method, path, operation));
        self
    }
}

impl RouteSet for HttpRoutes {
    const KIND: &'static str = "http";
    const PROTOCOL: Protocol = PROTOCOL;

    fn routes(&self) -> Vec<(String, Endpoint)> {
        let named = |route: &Route| (route.title(), route.endpoint.clone());
        let mounted = |mount: &Mount| (format!("ANY {}", mount.pattern()), mount.endpoint.clone());
        self.routes.iter().map(named).chain(self.mounts.iter().map(mounted)).collect()
    }

    /// `GET /users/7` is `GET /users/{id}`, and HEAD is GET's.
    fn find(routes: &[&str], asked: &str) -> Result<usize, String> {
        find::find(routes, asked)
    }
}

/// What does not begin with a slash is left to be found faulty.
fn join(prefix: &str, path: &str) -> String {
    match path {
        "/" if !prefix.is_empty() => prefix.to_owned(),
        path if path.starts_with('/') => format!("{prefix}{path}"),
        path => path.to_owned(),
    }
}

/// Lets modules register for HTTP.
pub trait HttpModule {
    /// Registers for the HTTP framework that has no name of its own.
    fn http(&mut self, routes: impl FnOnce(HttpRoutes) -> HttpRoutes) -> &mut Self;

    /// Registers for the HTTP framework of this name.
    fn http_on(&mut self, name: &str, routes: impl FnOnce(HttpRoutes) -> HttpRoutes) -> &mut Self;
}

impl HttpModule for ModuleBuilder<'_> {
    fn http(&mut self, routes: impl FnOnce(HttpRoutes) -> HttpRoutes) -> &mut Self {
        self.http_on(DEFAULT_NAME, routes)
    }

    fn http_on(&mut self, name: &str, routes: impl FnOnce(HttpRoutes) -> HttpRoutes) -> &mut Self {
        self.register(name, routes)
    }
}
