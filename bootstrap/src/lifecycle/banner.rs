//! What is told of a start: where everything is served, and what each stage took.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _, stderr},
    time::Duration,
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{LogFormat, LogSettings, Stage, plan::Options, process::Process};
use crate::{Result, command, lifecycle::Lifecycle};

/// How it is told.
pub(super) struct Style {
    /// Whether standard output and standard error are the bootstrap's to write to.
    owns_process: bool,
    /// Whether the whole timeline is asked for.
    timeline: bool,
}

/// Where a framework is reached.
#[derive(Debug, Serialize)]
struct Place {
    framework: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl Style {
    pub(super) fn of(options: &Options) -> Self {
        Self { owns_process: options.owns_process, timeline: options.timeline }
    }

    /// Tells of a start that is over: as a table in a terminal, as one event otherwise.
    pub(super) fn tell(&self, process: &Process) -> Result<()> {
        let (environment, total) = (process.config.environment(), process.lifecycle.timeline());
        let (stages, total) = (total.stages(), total.elapsed());
        let places = places(process);
        if self.owns_process && is_for_people(process) {
            let table = table(environment.as_str(), &places, &stages, total);
            // Nothing is lost where standard error is closed.
            let _ = stderr().write_all(table.as_bytes());
        } else {
            tracing::info!(
                environment = environment.as_str(),
                frameworks = %json!(places),
                stages_ms = %in_millis(&stages),
                "ready in {total:.1?}"
            );
        }
        self.draw(&process.lifecycle)
    }

    /// Draws the timeline of a start that has failed, where it is asked for.
    pub(super) fn draw(&self, lifecycle: &Lifecycle) -> Result<()> {
        if self.timeline { command::print(&lifecycle.timeline().to_string()) } else { Ok(()) }
    }
}

fn is_for_people(process: &Process) -> bool {
    let settings: LogSettings = process.config.peek_or_default("log").unwrap_or_default();
    stderr().is_terminal()
        && settings.format == LogFormat::Pretty
        && tracing::enabled!(tracing::Level::INFO)
}

fn places(process: &Process) -> Vec<Place> {
    let place = |member: &super::loaded::Member| Place {
        framework: member.title(),
        address: member.app.local_addr().map(|address| address.to_string()),
        url: member.app.url(),
    };
    process.members.iter().chain(&process.throughout).map(place).collect()
}

fn in_millis(stages: &[(Stage, Duration)]) -> Value {
    let millis = |time: &Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
    let entry = |(stage, time): &(Stage, Duration)| (stage.to_string(), json!(millis(time)));
    Value::Object(stages.iter().map(entry).collect::<Map<_, _>>())
}

fn table(
    environment: &str,
    places: &[Place],
    stages: &[(Stage, Duration)],
    total: Duration,
) -> String {
    let names = places.iter().map(|place| place.framework.as_str());
    let stage_names = stages.iter().map(|(stage, _)| stage.as_str());
    let width = names.chain(stage_names).map(|name| name.chars().count()).max().unwrap_or(0);
    let mut table = String::new();
    // Writing to a string does not fail.
    for Place { framework, address, url } in places {
        let place = url.as_ref().or(address.as_ref()).map_or("", String::as_str);
        let _ = writeln!(table, "  {}", format!("{framework:width$}  {place}").trim_end());
    }
    for (stage, time) in stages {
        let _ = writeln!(table, "  {:width$}  {:>8}", stage.as_str(), format!("{time:.1?}"));
    }
    let _ = writeln!(table, "  ready in {total:.1?}, environment {environment}");
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_each_framework_with_its_address_and_each_stage_with_its_time() {
        let place = |framework: &str, url: Option<&str>| Place {
            framework: framework.to_owned(),
            address: Some("127.0.0.1:7001".to_owned()),
            url: url.map(str::to_owned),
        };
        let places = [place("http", Some("http://127.0.0.1:7001")), place("grpc \"admin\"", None)];
        let stages = [(Stage::Bind, Duration::from_micros(1500))];
        assert_eq!(
            table("local", &places, &stages, Duration::from_millis(12)),
            "  http          http://127.0.0.1:7001\n  grpc \"admin\"  127.0.0.1:7001\n  \
             bind             1.5ms\n  ready in 12.0ms, environment local\n",
        );
        assert_eq!(in_millis(&stages).to_string(), r#"{"bind":1.5}"#);
    }
}
