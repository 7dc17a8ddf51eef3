//! What `.proto` files say of the methods that are served: the descriptor sets that modules bring.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use polyport_bootstrap::{Error, Result};
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::routes::OperationRoute;

/// Which sides of a method stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) client: bool,
    pub(crate) server: bool,
}

impl Shape {
    fn name(self) -> &'static str {
        match (self.client, self.server) {
            (false, false) => "unary",
            (false, true) => "server streaming",
            (true, false) => "client streaming",
            (true, true) => "bidirectional streaming",
        }
    }
}

/// Every descriptor set of a framework.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    sets: Vec<Bytes>,
    services: HashSet<String>,
    /// By `package.Service/Method`.
    methods: HashMap<String, Shape>,
}

impl Descriptors {
    /// Adds a `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    /// Returns an error where the bytes are none.
    pub(crate) fn add(&mut self, set: Bytes) -> Result<()> {
        let decoded = FileDescriptorSet::decode(set.clone()).map_err(|error| {
            Error::wiring("the descriptor set is no google.protobuf.FileDescriptorSet")
                .caused_by(error)
                .advise("give `descriptors` what the compiler of the .proto files has written")
        })?;
        decoded.file.iter().for_each(|file| self.learn(file));
        self.sets.push(set);
        Ok(())
    }

    fn learn(&mut self, file: &FileDescriptorProto) {
        for service in &file.service {
            let name = match file.package() {
                "" => service.name().to_owned(),
                package => format!("{package}.{}", service.name()),
            };
            for method in &service.method {
                let shape =
                    Shape { client: method.client_streaming(), server: method.server_streaming() };
                self.methods.insert(format!("{name}/{}", method.name()), shape);
            }
            self.services.insert(name);
        }
    }

    /// The sets, as they were given.
    pub(crate) fn sets(&self) -> &[Bytes] {
        &self.sets
    }

    /// What is wrong with the path or the kind of a method. Of a service that no set describes
    /// nothing is known.
    pub(crate) fn check(&self, route: &OperationRoute) -> Option<Error> {
        let (service, method) = route.path.split_once('/')?;
        let served = route.method.shape();
        let message = match self.methods.get(&route.path) {
            None if self.services.contains(service) => {
                format!("service {service} has no method {method} by its descriptor")
            }
            Some(described) if *described != served => format!(
                "{} is {} by its descriptor, and {} by its registration",
                route.path,
                described.name(),
                served.name(),
            ),
            _ => return None,
        };
        let operation = route.endpoint.info().name();
        Some(Error::wiring(message).context(format!("operation {operation}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_descriptor_set_are_an_error() {
        let error = Descriptors::default().add(Bytes::from_static(b"\xff")).expect_err("none");
        assert!(error.to_string().contains("FileDescriptorSet"), "{error}");
    }
}
