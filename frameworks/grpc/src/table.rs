//! Which path is whose.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use polyport_bootstrap::{Error, Result, operation::Endpoint};

use crate::{
    descriptors::Descriptors,
    health,
    method::Method,
    reflection,
    routes::{GrpcRoutes, OperationRoute, ServiceRoute},
    unknown::Unknown,
};

/// The routes of a gRPC framework, found by the path of the request.
#[derive(Default)]
pub(crate) struct Table {
    /// By `/package.Service/Method`.
    methods: HashMap<String, Arc<dyn Method>>,
    /// By `package.Service`; one whose methods are all operations has no service of its own.
    services: HashMap<String, Option<Endpoint>>,
    descriptors: Descriptors,
}

/// Who answers a call.
pub(crate) enum Found<'a> {
    Method(&'a Arc<dyn Method>),
    Service(&'a Endpoint),
}

impl Table {
    /// Adds routes that [`check`](Self::check) had nothing to say against.
    pub(crate) fn add(&mut self, routes: GrpcRoutes) {
        for OperationRoute { path, method, .. } in routes.operations {
            if let Some((service, _)) = path.split_once('/') {
                self.services.entry(service.to_owned()).or_default();
            }
            self.methods.insert(format!("/{path}"), method.into());
        }
        for ServiceRoute { name, endpoint } in routes.services {
            self.services.insert(name.to_owned(), Some(endpoint));
        }
    }

    /// Learns what .proto files say of services; before the routes that they describe.
    ///
    /// # Errors
    /// Returns an error where it is no descriptor set.
    pub(crate) fn describe(&mut self, descriptors: Vec<Bytes>) -> Result<()> {
        descriptors.into_iter().try_for_each(|set| self.descriptors.add(set))
    }

    pub(crate) fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    /// The names of all services, in order.
    pub(crate) fn service_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.services.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// What is wrong with these routes, beside what comes twice: that is found where all protocols'
    /// routes are.
    pub(crate) fn check(&self, routes: &GrpcRoutes) -> Vec<Error> {
        let malformed = routes.operations.iter().filter_map(malformed);
        let described = routes.operations.iter().filter_map(|route| self.descriptors.check(route));
        let is_taken = |name: &&str| own(name).is_some() && self.services.contains_key(*name);
        let taken = routes.services.iter().map(|route| route.name).filter(is_taken);
        malformed.chain(described).chain(taken.filter_map(served_twice)).collect()
    }

    /// Who answers calls of `path`.
    ///
    /// # Errors
    /// Returns what is unknown of a service or method that does not exist.
    pub(crate) fn find(&self, path: &str) -> std::result::Result<Found<'_>, Unknown> {
        if let Some(method) = self.methods.get(path) {
            return Ok(Found::Method(method));
        }
        let (service, method) = split(path);
        match self.services.get(service) {
            Some(Some(service)) => Ok(Found::Service(service)),
            Some(None) => Err(Unknown::method(service, method)),
            None => Err(Unknown::service(service)),
        }
    }
}

fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/').unwrap_or((path, ""))
}

fn malformed(route: &OperationRoute) -> Option<Error> {
    let is_well_formed = route.path.split_once('/').is_some_and(|(service, method)| {
        service.split('.').all(is_identifier) && is_identifier(method)
    });
    (!is_well_formed).then(|| {
        Error::wiring(format!(
            "{:?}, where operation {} is to be served, is not the name of a gRPC method",
            route.path,
            route.endpoint.info().name(),
        ))
        .advise("write it as package.Service/Method, as in \"im.v1.UserService/GetUser\"")
    })
}

/// An identifier of the protobuf language.
fn is_identifier(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(is_letter)
        && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

/// The setting by which the framework serves this service itself.
fn own(name: &str) -> Option<&'static str> {
    if name == health::SERVICE {
        return Some("grpc.health");
    }
    reflection::SERVICES.contains(&name).then_some("grpc.reflection")
}

fn served_twice(name: &str) -> Option<Error> {
    let setting = own(name)?;
    let message = format!("{name} is served already, by the framework itself");
    let advice = format!("take your own away, or turn the framework's off: {setting} = false");
    Some(Error::wiring(message).advise(advice))
}
