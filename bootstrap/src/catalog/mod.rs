//! The catalog of operations: what is served, where, and what stands around it, as data.

mod find;
mod table;

use schemars::Schema;
use serde::Serialize;

pub(crate) use self::find::answer;
use crate::{
    Error, Result,
    operation::{Exposure, Exposures, Stage, StageKind},
};

/// Every way in which operations can be called.
/// [`Bootstrap::catalog`](crate::Bootstrap::catalog) gives it without starting anything.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Catalog {
    /// In the order of registration.
    pub operations: Vec<CatalogOperation>,
}

/// One operation on one route.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CatalogOperation {
    /// What logs and reports call it.
    pub name: String,
    /// The protocol: `http`.
    pub protocol: &'static str,
    /// The name of the framework that serves it: `default`, or the one given by `named`.
    pub framework: String,
    /// The route as its protocol knows it: `GET /users`, `im.v1.UserService/GetUser`.
    pub route: String,
    /// The module that registered it.
    pub module: String,
    /// The types of the attributes that it was declared with.
    pub attributes: Vec<&'static str>,
    /// What a call meets on its way to it, in that order.
    pub chain: Vec<CatalogStage>,
    /// What its input looks like, where that is known (JSON Schema, 2020-12).
    pub input: Option<Schema>,
    /// What its value looks like, where that is known.
    pub output: Option<Schema>,
}

/// One of the things that stand around an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CatalogStage {
    /// `core middleware`, `middleware`, `fault filter`, `guard`, `interceptor` or `aspect`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What it was added to: `application`, `framework`, `module`, `controller` or `operation`.
    pub scope: &'static str,
}

impl Catalog {
    pub(crate) fn of(exposures: &Exposures) -> Self {
        let entry = |exposure: &Exposure| CatalogOperation::of(exposures, exposure);
        Self { operations: exposures.all().iter().map(entry).collect() }
    }

    /// It as JSON.
    ///
    /// # Errors
    /// None is known: names and schemas are always JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|error| Error::other("the catalog cannot be written").caused_by(error))
    }

    /// It as a table for people: one line for each route.
    #[must_use]
    pub fn to_table(&self) -> String {
        table::table(&self.operations)
    }
}

impl CatalogOperation {
    fn of(exposures: &Exposures, exposure: &Exposure) -> Self {
        let operation = exposure.operation();
        let plan = exposures.plan(exposure);
        Self {
            name: operation.name().to_owned(),
            protocol: exposure.protocol.as_str(),
            framework: exposure.framework.clone(),
            route: exposure.route.clone(),
            module: exposure.module.clone(),
            attributes: operation.attribute_names().collect(),
            chain: plan.stages().iter().map(CatalogStage::of).collect(),
            input: operation.schemas().input(),
            output: operation.schemas().output(),
        }
    }

    /// The names of its guards, in their order.
    pub fn guards(&self) -> impl Iterator<Item = &str> {
        let guards = self.chain.iter().filter(|stage| stage.kind == StageKind::Guard.as_str());
        guards.map(|stage| stage.name.as_str())
    }
}

impl CatalogStage {
    fn of(stage: &Stage) -> Self {
        Self {
            kind: stage.kind().as_str(),
            name: stage.name().to_owned(),
            scope: stage.scope().as_str(),
        }
    }
}
