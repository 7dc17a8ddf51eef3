//! What something needs from the container, declared before anything is built.

use std::sync::Arc;

use super::{Injectable, Key};

/// How much something depends on a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DependencyKind {
    /// It cannot be built without.
    Required,
    /// It takes what is there, and does without where nobody provides it.
    Optional,
    /// It takes a handle, and asks for the value only after its own construction.
    Lazy,
    /// It takes all that have the type, with and without a name; none is fine too.
    All,
}

/// One thing that a provider, an operation or a hook needs from the container.
#[derive(Debug, Clone)]
pub struct Dependency {
    key: Key,
    kind: DependencyKind,
    advice: Option<Arc<str>>,
}

impl Dependency {
    /// Needs `key`, and cannot be built without.
    #[must_use]
    pub fn required(key: Key) -> Self {
        Self { key, kind: DependencyKind::Required, advice: None }
    }

    /// Takes `key` where somebody provides it.
    #[must_use]
    pub fn optional(key: Key) -> Self {
        Self { key, kind: DependencyKind::Optional, advice: None }
    }

    /// Needs `key`, but not before it is built itself.
    #[must_use]
    pub fn lazy(key: Key) -> Self {
        Self { key, kind: DependencyKind::Lazy, advice: None }
    }

    /// Takes every value of the key's type, whatever its name.
    #[must_use]
    pub fn all(key: Key) -> Self {
        Self { key, kind: DependencyKind::All, advice: None }
    }

    /// Replaces the usual advice of the report in case that nobody provides it: `"load an
    /// HttpFramework"`.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<Arc<str>>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What is needed.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// How much it is needed.
    #[must_use]
    pub fn kind(&self) -> DependencyKind {
        self.kind
    }

    /// The advice that replaces the usual one.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// Whether it is a fault that nobody provides it.
    pub(super) fn must_exist(&self) -> bool {
        matches!(self.kind, DependencyKind::Required | DependencyKind::Lazy)
    }

    /// What is needed, as it stands in the code of whoever needs it.
    pub(super) fn spelled(&self) -> String {
        self.kind.spell(&self.key)
    }
}

impl DependencyKind {
    /// `Lazy<Pool>`, `Option<Pool>`, `Vec<dyn Check>`; what is required stands for itself.
    pub(super) fn spell(self, key: &Key) -> String {
        match self {
            Self::Required => key.to_string(),
            Self::Optional => format!("Option<{key}>"),
            Self::Lazy => format!("Lazy<{key}>"),
            Self::All => format!("Vec<{key}>"),
        }
    }
}

/// Something outside of the container that takes values from it, where every path of a report
/// begins: an operation, a hook, a framework.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Root {
    /// What a person knows it by: `"HTTP GET /users"`.
    pub description: String,
    /// What it needs.
    pub dependencies: Vec<Dependency>,
    /// Whether it takes them anew for each call, so that values of the request scope are among
    /// what it can have.
    pub per_call: bool,
    /// The module that it belongs to, where it belongs to one: it may take what that keeps private.
    pub module: Option<Arc<str>>,
}

impl Root {
    /// What is known as `description` and needs `dependencies`.
    pub fn new(description: impl Into<String>, dependencies: Vec<Dependency>) -> Self {
        Self { description: description.into(), dependencies, per_call: false, module: None }
    }

    /// Takes them anew for each call: an operation.
    #[must_use]
    pub fn per_call(mut self) -> Self {
        self.per_call = true;
        self
    }

    /// Belongs to the module called `name`.
    #[must_use]
    pub fn of_module(mut self, name: impl Into<Arc<str>>) -> Self {
        self.module = Some(name.into());
        self
    }

    /// What is known as `description` and takes an `I`.
    pub fn of<I: Injectable>(description: impl Into<String>) -> Self {
        Self::new(description, dependencies_of::<I>())
    }
}

/// What an `I` needs.
pub(super) fn dependencies_of<I: Injectable>() -> Vec<Dependency> {
    let mut dependencies = Vec::new();
    I::dependencies(&mut dependencies);
    dependencies
}
