//! The health service of gRPC's "Health Checking Protocol" (`grpc.health.v1.Health`): its methods
//! are operations, around which nothing of the application's stands, since whoever runs the
//! process has to reach them in any case.

pub(crate) mod descriptor;

use std::{
    collections::{BTreeMap, HashMap},
    future::{Ready, ready},
    sync::Arc,
};

use futures_util::stream::{BoxStream, StreamExt, unfold};
use garde::Validate;
use polyport_bootstrap::{
    Fault, Health, HealthWatch,
    operation::{Input, OperationExt, StageScope},
};
use tokio::sync::watch;

use crate::{GrpcOperations, GrpcRoutes};

/// The service's name.
pub(crate) const SERVICE: &str = "grpc.health.v1.Health";

/// What is known of the services of one framework.
#[derive(Clone)]
pub(crate) struct ServiceHealth(Arc<State>);

struct State {
    health: Health,
    /// Whether the application lets each service be served.
    services: watch::Sender<BTreeMap<String, bool>>,
}

impl ServiceHealth {
    pub(crate) fn new(health: Health) -> Self {
        Self(Arc::new(State { health, services: watch::Sender::default() }))
    }

    /// Gets to know services; one that is known stays as it is.
    pub(crate) fn add(&self, names: impl IntoIterator<Item = String>) {
        self.0.services.send_modify(|services| {
            for name in names {
                services.entry(name).or_insert(true);
            }
        });
    }

    pub(crate) fn set(&self, name: &str, serving: bool) {
        self.0.services.send_modify(|services| {
            services.insert(name.to_owned(), serving);
        });
    }

    /// How `service` is; the empty name is the process.
    fn status(&self, service: &str) -> ServingStatus {
        let known = match service {
            "" => Some(true),
            name => self.0.services.borrow().get(name).copied(),
        };
        match known {
            None => ServingStatus::ServiceUnknown,
            Some(wanted) => ServingStatus::of(wanted && self.0.health.readiness().ready),
        }
    }

    fn all(&self) -> HealthListResponse {
        let ready = self.0.health.readiness().ready;
        let services = self.0.services.borrow();
        let whole = std::iter::once((String::new(), true));
        let each = services.iter().map(|(name, wanted)| (name.clone(), *wanted));
        let status = |(name, wanted)| (name, ServingStatus::of(wanted && ready).into());
        HealthListResponse { statuses: whole.chain(each).map(status).collect() }
    }
}

pub(crate) fn routes(health: &ServiceHealth) -> GrpcRoutes {
    let alone = StageScope::Operation;
    let check = check(health.clone()).within(alone);
    let list = list(health.clone()).within(alone);
    let watch = watch(health.clone()).within(alone);
    GrpcRoutes::default()
        .unary::<HealthCheckRequest, HealthCheckResponse>(&path("Check"), check)
        .unary::<HealthListRequest, HealthListResponse>(&path("List"), list)
        .server_streaming::<HealthCheckRequest, HealthCheckResponse>(&path("Watch"), watch)
}

fn path(method: &str) -> String {
    format!("{SERVICE}/{method}")
}

type Answer<T> = Ready<Result<T, Fault>>;

fn check(
    health: ServiceHealth,
) -> impl FnOnce(Input<Service>) -> Answer<HealthCheckResponse> + Clone + Send + Sync + 'static {
    move |Input(Service(name))| {
        ready(match health.status(&name) {
            ServingStatus::ServiceUnknown => Err(Fault::not_found(
                "UNKNOWN_SERVICE",
                format!("there is no service {name:?} here"),
            )),
            status => Ok(status.into()),
        })
    }
}

fn list(
    health: ServiceHealth,
) -> impl FnOnce() -> Answer<HealthListResponse> + Clone + Send + Sync + 'static {
    move || ready(Ok(health.all()))
}

type Statuses = BoxStream<'static, Result<HealthCheckResponse, Fault>>;

fn watch(
    health: ServiceHealth,
) -> impl FnOnce(Input<Service>) -> Answer<Statuses> + Clone + Send + Sync + 'static {
    move |Input(Service(name))| {
        let statuses = unfold(Watching::new(health, name), Watching::next);
        ready(Ok(statuses.map(Ok).boxed()))
    }
}

/// A peer that wants to know every change of one service.
struct Watching {
    health: ServiceHealth,
    service: String,
    process: HealthWatch,
    services: watch::Receiver<BTreeMap<String, bool>>,
    told: Option<ServingStatus>,
}

impl Watching {
    fn new(health: ServiceHealth, service: String) -> Self {
        let process = health.0.health.watch();
        let services = health.0.services.subscribe();
        Self { health, service, process, services, told: None }
    }

    /// The status now, and then each time that it is another one.
    async fn next(mut self) -> Option<(HealthCheckResponse, Self)> {
        loop {
            let status = self.health.status(&self.service);
            if self.told != Some(status) {
                self.told = Some(status);
                return Some((status.into(), self));
            }
            tokio::select! {
                () = self.process.changed() => {}
                // The sender lives as long as `self.health`.
                _ = self.services.changed() => {}
            }
        }
    }
}

/// The name of a service, as a peer gives it.
#[derive(Validate)]
struct Service(#[garde(skip)] String);

impl From<HealthCheckRequest> for Service {
    fn from(request: HealthCheckRequest) -> Self {
        Self(request.service)
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthListResponse {
    #[prost(map = "string, message", tag = "1")]
    statuses: HashMap<String, HealthCheckResponse>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    /// Only on `Watch`.
    ServiceUnknown = 3,
}

impl ServingStatus {
    fn of(serving: bool) -> Self {
        if serving { Self::Serving } else { Self::NotServing }
    }
}

impl From<ServingStatus> for HealthCheckResponse {
    fn from(status: ServingStatus) -> Self {
        Self { status: status.into() }
    }
}
