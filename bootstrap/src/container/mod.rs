//! The one registry of singletons that every framework of a process shares.
//!
//! A provider declares what it needs ([`Provide`], [`Factory`]); its constructor gets a
//! [`Resolver`] for just that. So the whole graph is known and checked before anything is built,
//! and nothing can deadlock. A singleton is built once, in a task of its own that callers join;
//! afterwards a lookup is one read of an immutable table.
//!
//! The container knows neither configuration nor frameworks: they are values in it. Nothing here
//! is global: two containers in one process know nothing of each other.

mod assemble;
mod builder;
mod construction;
mod dependency;
mod describe;
mod disposal;
mod elsewhere;
mod erased;
mod factory;
mod family;
mod graph;
mod handle;
#[cfg(any(test, feature = "testing"))]
mod held;
mod injectable;
mod key;
mod lazy;
mod local;
mod nearest;
mod order;
mod provide;
mod registration;
mod report;
mod resolver;
mod scope;
mod stages;
mod table;
#[cfg(test)]
mod tests;
mod visitor;

pub use builder::ContainerBuilder;
pub use construction::BuildTime;
pub use dependency::{Dependency, DependencyKind, Root};
pub(crate) use describe::{Description, Target};
pub(crate) use elsewhere::{Elsewhere, Offer};
pub use factory::Factory;
pub(crate) use family::Members;
pub use handle::{Container, WeakContainer};
#[cfg(any(test, feature = "testing"))]
pub(crate) use held::HeldSingleton;
pub use injectable::{Injectable, InjectableNamed};
#[doc(hidden)]
pub use injectable::{client_dependencies, resolve_client};
pub use key::Key;
pub(crate) use key::without_paths;
pub use lazy::Lazy;
pub use provide::Provide;
pub use registration::Registration;
pub use resolver::Resolver;
pub use scope::Scope;
pub(crate) use scope::{CallScope, CallValue, Caller};
