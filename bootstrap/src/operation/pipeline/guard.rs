use async_trait::async_trait;

use crate::operation::{Context, Fault};

/// Decides whether a call may go on, before its input is read. What Nest and Midway call a guard.
///
/// Guards stand behind the middleware, in the order in which they were added: the application's,
/// the framework's, the module's, the controller's, the operation's own. The first that refuses
/// decides; its fault is what the caller gets, on every protocol. What a guard finds out it leaves
/// in the call: [`Context::set`]. What the operation was declared with it reads by
/// [`Context::operation`].
///
/// A function of the context is a guard, too, and the cheapest: it costs no allocation.
///
/// # Examples
/// ```
/// use async_trait::async_trait;
/// use polyport_bootstrap::operation::{Context, Fault, Guard, Pipeline};
///
/// #[derive(Debug, PartialEq)]
/// enum Role { Admin }
///
/// struct User { is_admin: bool }
///
/// /// Lets only those in who have the role that the operation asks for.
/// struct Roles;
///
/// #[async_trait]
/// impl Guard for Roles {
///     async fn check(&self, context: &Context) -> Result<(), Fault> {
///         let wants_admin = context.operation().attribute() == Some(&Role::Admin);
///         match context.value::<User>() {
///             Some(user) if user.is_admin || !wants_admin => Ok(()),
///             _ => Err(Fault::permission_denied("ADMINS_ONLY", "this is for admins")),
///         }
///     }
/// }
///
/// let pipeline = Pipeline::new().guard(Roles).guard(|context: &Context| {
///     match context.metadata.get("authorization") {
///         Some(_) => Ok(()),
///         None => Err(Fault::unauthenticated("NO_TOKEN", "the call carries no token")),
///     }
/// });
/// # drop(pipeline);
/// ```
#[async_trait]
pub trait Guard: Send + Sync + 'static {
    /// Decides at once, where it can; `None` leaves it to [`check`](Self::check).
    fn check_now(&self, context: &Context) -> Option<Result<(), Fault>> {
        let _ = context;
        None
    }

    /// Decides.
    ///
    /// # Errors
    /// Returns the fault of a call that may not go on.
    async fn check(&self, context: &Context) -> Result<(), Fault>;
}

#[async_trait]
impl<F> Guard for F
where
    F: Fn(&Context) -> Result<(), Fault> + Send + Sync + 'static,
{
    fn check_now(&self, context: &Context) -> Option<Result<(), Fault>> {
        Some(self(context))
    }

    async fn check(&self, context: &Context) -> Result<(), Fault> {
        self(context)
    }
}
