//! A type that says itself how it is built.

use std::sync::Arc;

use super::{Dependency, Resolver, Scope};
use crate::Result;

/// A type that the container can build: it says what it needs, and how it is made of that.
///
/// `#[derive(Provide)]` writes this for a struct. By hand:
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use polyport_bootstrap::{Result, container::{Dependency, Key, Provide, Resolver}};
///
/// struct Clock;
/// struct Greeter { clock: Arc<Clock> }
///
/// impl Provide for Greeter {
///     fn dependencies() -> Vec<Dependency> {
///         vec![Dependency::required(Key::of::<Clock>())]
///     }
///
///     async fn construct(resolver: Resolver<'_>) -> Result<Self> {
///         Ok(Self { clock: resolver.get()? })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the container does not know how to build `{Self}`",
    label = "does not implement `Provide`",
    note = "write `#[derive(Provide)]` on it, give a finished value with `provide_value`, or an \
            async factory with `provide_with`"
)]
pub trait Provide: Sized + Send + Sync + 'static {
    /// Whether it is built at start even where nothing reaches it.
    const EAGER: bool = false;

    /// How long a value lives.
    const SCOPE: Scope = Scope::Singleton;

    /// Whether [`construct`](Self::construct) never waits, so that no call has to keep its future.
    /// `#[derive(Provide)]` says so of a struct without `init`.
    const IMMEDIATE: bool = false;

    /// Whether [`dispose`](Self::dispose) does anything; it is not called otherwise.
    /// `#[derive(Provide)]` says no of a struct without `dispose`.
    const DISPOSES: bool = true;

    /// What the constructor takes from its resolver; all of it is built before.
    fn dependencies() -> Vec<Dependency>;

    /// Builds the value: once in the life of a container, unless [`SCOPE`](Self::SCOPE) says
    /// otherwise.
    fn construct(resolver: Resolver<'_>) -> impl Future<Output = Result<Self>> + Send;

    /// Gives back what the value holds, when the process stops (or the call ends that it belongs
    /// to) and all that used it is gone. Never called for a transient value.
    fn dispose(self: Arc<Self>) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}
