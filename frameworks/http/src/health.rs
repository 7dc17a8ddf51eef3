//! The health routes: operations that nothing of the application stands around, so that whoever
//! watches the process reaches them in any case.

use polyport_bootstrap::{
    Health, Liveness, Readiness, Startup,
    operation::{Fault, Inject, OperationExt, StageScope},
};

use crate::{HealthSettings, HttpRoutes};

pub(crate) fn routes(settings: &HealthSettings) -> HttpRoutes {
    if !settings.enabled {
        return HttpRoutes::default();
    }
    let alone = StageScope::Operation;
    HttpRoutes::default()
        .get(&settings.live, live.within(alone))
        .get(&settings.ready, ready.within(alone))
        .get(&settings.started, started.within(alone))
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
