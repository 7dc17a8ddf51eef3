use super::ModuleBuilder;
use crate::container::Provide;

/// A struct whose methods are operations, with the routes that they are served on: what Nest and
/// Midway call a controller. The macro `controller` implements it.
///
/// # Examples
/// ```
/// # extern crate polyport_bootstrap as polyport;
/// use polyport::{Provide, controller, module, operation::Fault};
///
/// #[derive(Provide)]
/// struct Clock;
///
/// #[controller]
/// impl Clock {
///     /// A method without a route is just a method.
///     fn ticks(&self) -> u64 {
///         7
///     }
/// }
///
/// let clock = module("clock", |m| {
///     m.controller::<Clock>();
///     Ok(())
/// });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a controller",
    note = "write `#[controller]` above its `impl` block"
)]
pub trait Controller: Provide {
    /// Registers its methods with the frameworks.
    fn register(module: &mut ModuleBuilder<'_>);
}
