//! The reflection service, in both versions that clients ask for: `grpc.reflection.v1` and
//! `grpc.reflection.v1alpha`, filled from the same descriptors.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
};

use http::{Request, Response};
use polyport_bootstrap::{Error, Result, operation::StageScope};
use tonic::{Status, body::Body};
use tonic_reflection::{pb, server::Builder};
use tower::{Service, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{GrpcRoutes, GrpcSettings, health, routes::ServiceRoute, service, table::Table};

/// The services' names.
pub(crate) const SERVICES: [&str; 2] =
    ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// Either service.
type AnyService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What answers, once it is known what is served.
#[derive(Default, Clone)]
pub(crate) struct Reflection([Arc<OnceLock<AnyService>>; 2]);

impl Reflection {
    /// Both services, where the settings want them.
    pub(crate) fn routes(&self, settings: &GrpcSettings) -> GrpcRoutes {
        let mut routes = GrpcRoutes::default();
        if settings.reflection {
            let guarded = settings.reflection_behind_guards;
            let both = SERVICES.into_iter().zip(&self.0);
            routes.services.extend(both.map(|(name, cell)| route(name, cell, guarded)));
        }
        routes
    }

    /// Lets both tell of what is in the table.
    ///
    /// # Errors
    /// Returns an error where a descriptor lacks its name.
    pub(crate) fn fill(&self, table: &Table) -> Result<()> {
        let names = table.service_names();
        let health = health::descriptor::set();
        let builder = || {
            let sets = table.descriptors().sets().iter().map(AsRef::as_ref);
            let sets = sets.chain([
                health.as_slice(),
                pb::v1::FILE_DESCRIPTOR_SET,
                pb::v1alpha::FILE_DESCRIPTOR_SET,
            ]);
            let builder = Builder::configure().include_reflection_service(false);
            let builder = sets.fold(builder, Builder::register_encoded_file_descriptor_set);
            names.iter().fold(builder, Builder::with_service_name)
        };
        let [v1, v1alpha] = &self.0;
        let _ = v1.set(boxed(builder().build_v1().map_err(unnamed)?));
        let _ = v1alpha.set(boxed(builder().build_v1alpha().map_err(unnamed)?));
        Ok(())
    }
}

fn unnamed(error: tonic_reflection::server::Error) -> Error {
    Error::wiring("the descriptors of the gRPC services do not fit").caused_by(error)
}

fn route(name: &'static str, cell: &Arc<OnceLock<AnyService>>, guarded: bool) -> ServiceRoute {
    let cell = Arc::clone(cell);
    let service = service_fn(move |request: Request<Body>| {
        let service = cell.get().cloned();
        async move {
            match service {
                Some(service) => service.oneshot(request).await,
                None => Ok(Status::unavailable("the server is starting").into_http()),
            }
        }
    });
    let endpoint = service::endpoint(name, service);
    let endpoint = if guarded { endpoint } else { endpoint.within(StageScope::Operation) };
    ServiceRoute { name, endpoint }
}

fn boxed<S>(service: S) -> AnyService
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service)
}
