//! The health routes, which are operations like any other.

use polyport_bootstrap::{
    Health, Readiness,
    operation::{Fault, Inject},
};
use serde::Serialize;

use crate::{HealthSettings, HttpRoutes};

#[derive(Debug, Serialize)]
struct Liveness {
    status: &'static str,
}

pub(crate) fn routes(settings: &HealthSettings) -> HttpRoutes {
    if !settings.enabled {
        return HttpRoutes::default();
    }
    HttpRoutes::default().get(&settings.live, live).get(&settings.ready, ready)
}

async fn live() -> Result<Liveness, Fault> {
    Ok(Liveness { status: "up" })
}

async fn ready(health: Inject<Health>) -> Result<Readiness, Fault> {
    let readiness = health.readiness();
    if readiness.ready {
        return Ok(readiness);
    }
    let fault = Fault::unavailable("NOT_READY", "the process does not want calls now");
    Err(match serde_json::to_value(readiness.components) {
        Ok(components) => fault.with_details(components),
        Err(error) => fault.caused_by(error),
    })
}
