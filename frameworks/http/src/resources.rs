//! The table of a resource.

use http::Method;
use polyport_bootstrap::operation::{Bind, IntoReply, Operation};

use crate::{HttpRoutes, routes::Route};

/// The actions of a resource, those that are given:
///
/// | action | at `/users` |
/// |---|---|
/// | `index` | `GET /users` |
/// | `new` | `GET /users/new` |
/// | `create` | `POST /users` |
/// | `show` | `GET /users/{id}` |
/// | `edit` | `GET /users/{id}/edit` |
/// | `update` | `PATCH /users/{id}` and `PUT /users/{id}` |
/// | `destroy` | `DELETE /users/{id}` |
///
/// [`HttpRoutes::resources`] has an example.
#[derive(Debug)]
pub struct Resources {
    routes: HttpRoutes,
    id: String,
}

impl Default for Resources {
    fn default() -> Self {
        Self { routes: HttpRoutes::default(), id: "id".to_owned() }
    }
}

/// Stands for the parameter until its name is known.
const ID: &str = "/{}";

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident => $($method:ident)+, $path:expr;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name<M: 'static, Op>(mut self, operation: Op) -> Self
            where
                Op: Operation<M>,
                Op::Input: Bind,
                Op::Output: IntoReply,
            {
                $(self.add(Method::$method, $path, operation.clone());)+
                drop(operation);
                self
            }
        )*
    };
}

impl Resources {
    /// Names the path's parameter; default `id`. A resource within another one needs two names:
    /// `/users/{userId}/posts` with `param("postId")`.
    #[must_use]
    pub fn param(mut self, name: &str) -> Self {
        name.clone_into(&mut self.id);
        self
    }

    actions! {
        /// All of them: `GET /users`.
        index => GET, "/";
        /// The form for a new one: `GET /users/new`.
        new => GET, "/new";
        /// Creates one: `POST /users`.
        create => POST, "/";
        /// One of them: `GET /users/{id}`.
        show => GET, ID;
        /// The form for changing one: `GET /users/{id}/edit`.
        edit => GET, "/{}/edit";
        /// Changes one: `PATCH /users/{id}` and `PUT /users/{id}`.
        update => PATCH PUT, ID;
        /// Removes one: `DELETE /users/{id}`.
        destroy => DELETE, ID;
    }

    fn add<M: 'static, Op>(&mut self, method: Method, path: &str, operation: Op)
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        self.routes.routes.push(Route::new(method, path, operation));
    }

    pub(crate) fn into_routes(mut self) -> HttpRoutes {
        let parameter = format!("{{{}}}", self.id);
        for route in &mut self.routes.routes {
            route.path = route.path.replace("{}", &parameter);
        }
        self.routes
    }
}
