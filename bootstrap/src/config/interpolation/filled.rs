//! What filling in starts from, and what comes of it.

use std::{collections::BTreeMap, ffi::OsString};

use figment::value::Value;

use crate::{
    Error,
    config::{secrets::Secrets, tree},
};

pub(super) type Path = Vec<String>;

/// What values can be made of besides the configuration itself.
pub(in crate::config) struct Surroundings {
    /// The environment variables of the process.
    pub(in crate::config) variables: BTreeMap<String, OsString>,
    /// A tree that holds where the configuration itself says nothing.
    pub(in crate::config) application: Value,
}

/// The tree with everything filled in.
#[derive(Clone)]
pub(in crate::config) struct Interpolated {
    pub(in crate::config) values: Value,
    /// What could not be filled in, by the key of the text, which is left as it was written.
    pub(in crate::config) faults: BTreeMap<Path, Cause>,
    /// What is a secret because of what it was made of, and what was known as one before.
    pub(in crate::config) secrets: Secrets,
    /// What each value was made of.
    pub(in crate::config) parts: BTreeMap<Path, Vec<Part>>,
    /// What values that are not text were in the environment variable that they come from.
    pub(in crate::config) texts: BTreeMap<Path, String>,
}

/// Why a text could not be filled in.
#[derive(Debug, Clone)]
pub(in crate::config) enum Cause {
    /// A reason of its own.
    Own(Error),
    /// That the value at this path could not.
    Of(Path),
}

/// Something that a value was made of.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) enum Part {
    Key(String),
    Variable(String),
    /// What stands behind `:-` because the target was not set.
    Fallback(String),
}

impl Interpolated {
    pub(in crate::config) fn nothing() -> Self {
        Self {
            values: tree::empty(),
            faults: BTreeMap::new(),
            secrets: Secrets::default(),
            parts: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }
}
