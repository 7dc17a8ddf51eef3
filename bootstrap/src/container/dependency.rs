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

    pub(super) fn is_required(&self) -> bool {
        self.kind == DependencyKind::Required
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
}

impl Root {
    /// What is known as `description` and needs `dependencies`.
    pub fn new(description: impl Into<String>, dependencies: Vec<Dependency>) -> Self {
        Self { description: description.into(), dependencies }
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
