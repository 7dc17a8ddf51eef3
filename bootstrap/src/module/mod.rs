//! Modules: mini applications that can be added to any.

mod builder;
mod registrations;

pub(crate) use self::registrations::Registrations;
pub use self::{
    builder::ModuleBuilder,
    registrations::{Registered, RouteSet, exposures},
};
use crate::Result;

/// A mini application that can be added to any: providers, operations, hooks and default
/// configuration. What Nest calls a module, Egg a plugin and Midway a component.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Module, ModuleBuilder, Result};
///
/// struct Greeter;
///
/// struct GreeterModule;
///
/// impl Module for GreeterModule {
///     fn name(&self) -> &'static str {
///         "greeter"
///     }
///
///     fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
///         m.provide_value(std::sync::Arc::new(Greeter))
///             .on_ready(async |container| {
///                 container.get::<Greeter>().await?;
///                 Ok(())
///             });
///         Ok(())
///     }
/// }
/// ```
pub trait Module: Send + Sync + 'static {
    /// The module's name; two different modules of one name are an error.
    fn name(&self) -> &'static str;

    /// The names of the modules that must be configured before this one.
    fn depends_on(&self) -> &'static [&'static str] {
        &[]
    }

    /// Registers what the module brings.
    ///
    /// # Errors
    /// Returns whatever the module itself finds wrong.
    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()>;
}

/// Makes a module of a function, where a type of its own would say no more. Made twice from one
/// piece of code under one name, it is one module, whatever the function captures: give each a
/// name of its own.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Bootstrap, module};
///
/// let bootstrap = Bootstrap::new().module(module("numbers", |m| {
///     m.provide_value(std::sync::Arc::new(7_u32));
///     Ok(())
/// }));
/// ```
pub fn module<F>(name: &'static str, configure: F) -> impl Module
where
    F: Fn(&mut ModuleBuilder<'_>) -> Result<()> + Send + Sync + 'static,
{
    FnModule { name, configure }
}

struct FnModule<F> {
    name: &'static str,
    configure: F,
}

impl<F> Module for FnModule<F>
where
    F: Fn(&mut ModuleBuilder<'_>) -> Result<()> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        (self.configure)(m)
    }
}
