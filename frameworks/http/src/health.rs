//! The health routes, which are operations like any other.

use polyport_bootstrap::{
    Health, Liveness, Readiness, Startup,
    operation::{Fault, Inject},
};

use crate::{HealthSettings, HttpRoutes};

pub(crate) fn routes(settings: &HealthSettings) -> HttpRoutes {
    if !settings.enabled {
        return HttpRoutes::default();
    }
    HttpRoutes::default()
        .get(&settings.live, live)
        .get(&settings.ready, ready)
        .get(&settings.started, started)
}

async fn live(health: Inject<Health>) -> Result<Liveness, Fault> {
    Ok(health.liveness())
}

async fn ready(health: Inject<Health>) -> Result<Readiness, Fault> {
    let readiness = health.readiness();
    if readiness.ready {
        return Ok(readiness);
    }
    let reason = readiness.reason.unwrap_or_default();
    let fault = Fault::unavailable("NOT_READY", format!("no calls are wanted now: {reason}"));
    Err(match serde_json::to_value(readiness.components) {
        Ok(components) => fault.with_details(components),
        Err(error) => fault.caused_by(error),
    })
}

async fn started(health: Inject<Health>) -> Result<Startup, Fault> {
    let startup = health.startup();
    let fault = || Fault::unavailable("NOT_STARTED", "the process is starting");
    if startup.started { Ok(startup) } else { Err(fault()) }
}
