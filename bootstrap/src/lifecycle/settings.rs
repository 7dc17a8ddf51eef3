//! The sections `startup`, `shutdown` and `log`.

use std::{collections::BTreeMap, time::Duration};

use garde::Validate;
use polyport_macros::Settings;
use serde::{Deserialize, Serialize};

use super::Stage;
use crate::{Config, Error, Result, config::SettingsSection as _, framework::Witness};

/// How long the first two stages may take: they are what reads the configuration.
pub(super) const BEFORE_CONFIGURATION: Duration = seconds(10);

/// How long each part of a start may take in a test, where the configuration does not say: many run
/// at once there, and that the machine is busy is no fault of the application. The start as a whole
/// has its own deadline (`start_within`).
const START_IN_A_TEST: Duration = seconds(600);

/// The same for a stop.
const STOP_IN_A_TEST: Duration = seconds(30);

/// Lets each of `times` be `patience` where the section does not say.
fn be_patient<const N: usize>(
    config: &Config,
    section: &str,
    patience: Duration,
    times: [(&'static str, &mut Duration); N],
) {
    for (key, time) in times {
        if !config.contains(&format!("{section}.{key}")) {
            *time = patience;
        }
    }
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The section `startup`: how long each stage of a start may take, and each of its parts. The
/// stages `configuration` and `modules`, which come before any setting is known, have 10 s together.
/// In a test ([`create_bootstrap`](crate::testing::create_bootstrap)) each is 10 min where the
/// configuration does not say; there the start as a whole has a deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("startup")]
#[settings(crate = crate)]
#[garde(allow_unvalidated)]
pub struct StartupSettings {
    /// All before-hooks, up to the complete configuration; default 60 s.
    #[serde(with = "humantime_serde")]
    pub before: Duration,
    /// `config_did_load`, and the frameworks are built; default 60 s.
    #[serde(with = "humantime_serde")]
    pub build: Duration,
    /// The whole graph is checked, and `did_load`; default 60 s.
    #[serde(with = "humantime_serde")]
    pub check: Duration,
    /// All singletons are built, and `will_ready`; default 60 s.
    #[serde(with = "humantime_serde")]
    pub singletons: Duration,
    /// All frameworks bind or connect; default 30 s.
    #[serde(with = "humantime_serde")]
    pub bind: Duration,
    /// `on_ready`; default 60 s.
    #[serde(with = "humantime_serde")]
    pub on_ready: Duration,
    /// All frameworks listen and serve, and `on_server_ready`; default 60 s.
    #[serde(with = "humantime_serde")]
    pub serve: Duration,
    /// One hook of a start; default 30 s.
    #[serde(with = "humantime_serde")]
    pub hook: Duration,
    /// The constructor of one singleton, without what it waits for; default 30 s.
    #[serde(with = "humantime_serde")]
    pub singleton: Duration,
}

impl Default for StartupSettings {
    fn default() -> Self {
        let (long, short) = (seconds(60), seconds(30));
        Self {
            before: long,
            build: long,
            check: long,
            singletons: long,
            bind: short,
            on_ready: long,
            serve: long,
            hook: short,
            singleton: short,
        }
    }
}

impl StartupSettings {
    /// As [`ShutdownSettings::kept`]: in a test the start as a whole has its own deadline.
    pub(super) fn kept(config: &Config, witness: &Witness) -> Self {
        let mut times: Self = config.peek_or_default(Self::KEY).unwrap_or_default();
        if witness.is_watching() {
            be_patient(config, Self::KEY, START_IN_A_TEST, times.parts());
        }
        times
    }

    fn parts(&mut self) -> [(&'static str, &mut Duration); 9] {
        [
            ("before", &mut self.before),
            ("build", &mut self.build),
            ("check", &mut self.check),
            ("singletons", &mut self.singletons),
            ("bind", &mut self.bind),
            ("on_ready", &mut self.on_ready),
            ("serve", &mut self.serve),
            ("hook", &mut self.hook),
            ("singleton", &mut self.singleton),
        ]
    }

    /// The deadline of a stage of the start.
    pub(super) fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Before => self.before,
            Stage::Build => self.build,
            Stage::Check => self.check,
            Stage::Singletons => self.singletons,
            Stage::Bind => self.bind,
            Stage::OnReady => self.on_ready,
            Stage::Serve => self.serve,
            _ => BEFORE_CONFIGURATION,
        }
    }
}

/// The section `shutdown`: how long each stage of a stop may take. All of them together are 30 s
/// by default. In a test ([`create_bootstrap`](crate::testing::create_bootstrap)) each but the delay
/// and the drain is 30 s where the configuration does not say.
///
/// Hooks, and singletons that are disposed of, run one after the other: what is left of their
/// stage's time is divided evenly among those who have not run, so that one that hangs takes
/// nobody's turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("shutdown")]
#[settings(crate = crate)]
#[garde(allow_unvalidated)]
pub struct ShutdownSettings {
    /// All `on_stopping` hooks; default 2 s.
    #[serde(with = "humantime_serde")]
    pub on_stopping: Duration,
    /// How long everything is still served after readiness was turned off, so that load balancers
    /// notice; default 0 s.
    #[serde(with = "humantime_serde")]
    pub delay: Duration,
    /// How long a framework may take until it takes nothing new; default 3 s.
    #[serde(with = "humantime_serde")]
    pub intake: Duration,
    /// How long what is in flight may take, on each framework; default 10 s.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// Other times for `drain`, by framework: `http = "30s"`, `http_admin = "1s"`.
    #[serde(with = "by_framework")]
    pub drain_of: BTreeMap<String, Duration>,
    /// The drain ends no earlier than this long after the last call has ended, within the time for
    /// the drain; default 0 s.
    #[serde(with = "humantime_serde")]
    pub quiet: Duration,
    /// All `before_close` hooks; default 3 s.
    #[serde(with = "humantime_serde")]
    pub before_close: Duration,
    /// All singletons that are disposed of; default 5 s.
    #[serde(with = "humantime_serde")]
    pub dispose: Duration,
    /// How long a framework may take to close; default 5 s.
    #[serde(with = "humantime_serde")]
    pub close: Duration,
    /// All `closed` hooks; default 2 s.
    #[serde(with = "humantime_serde")]
    pub closed: Duration,
    /// How long whoever stops the process waits before it kills it (Kubernetes'
    /// `terminationGracePeriodSeconds`, systemd's `TimeoutStopSec`); not checked by default. One
    /// that is smaller than all of the above together is a configuration error.
    #[serde(with = "humantime_serde")]
    pub total: Option<Duration>,
}

impl Default for ShutdownSettings {
    fn default() -> Self {
        Self {
            on_stopping: seconds(2),
            delay: Duration::ZERO,
            intake: seconds(3),
            drain: seconds(10),
            drain_of: BTreeMap::new(),
            quiet: Duration::ZERO,
            before_close: seconds(3),
            dispose: seconds(5),
            close: seconds(5),
            closed: seconds(2),
            total: None,
        }
    }
}

impl ShutdownSettings {
    /// What is to be kept, as the configuration says. What is wrong with that is told with all
    /// other faults, when the configuration is checked.
    pub(super) fn kept(config: &Config, witness: &Witness) -> Self {
        let mut times: Self = config.peek_or_default(Self::KEY).unwrap_or_default();
        if witness.is_watching() {
            be_patient(config, Self::KEY, STOP_IN_A_TEST, times.parts());
        }
        times
    }

    /// What nothing in flight is waited for by.
    fn parts(&mut self) -> [(&'static str, &mut Duration); 6] {
        [
            ("on_stopping", &mut self.on_stopping),
            ("intake", &mut self.intake),
            ("before_close", &mut self.before_close),
            ("dispose", &mut self.dispose),
            ("close", &mut self.close),
            ("closed", &mut self.closed),
        ]
    }

    /// The deadline of the drain of a framework, by its section of the configuration.
    pub(super) fn drain_of(&self, section: &str) -> Duration {
        self.drain_of.get(section).copied().unwrap_or(self.drain)
    }

    /// Checks what no value by itself can show, for the frameworks that have these sections.
    pub(super) fn check(&self, sections: &[String]) -> Result<()> {
        let unknown = self.drain_of.keys().filter(|section| !sections.contains(section));
        let unknown = unknown.map(|section| unknown_section(section, sections));
        let errors = unknown.chain(self.too_short(sections)).collect();
        Error::all("the section shutdown contradicts itself", errors)
    }

    fn too_short(&self, sections: &[String]) -> Option<Error> {
        let total = self.total?;
        let stages = self.stages(sections);
        let sum = self.sum(sections);
        if sum <= total {
            return None;
        }
        let each: Vec<_> = stages.iter().map(|(stage, time)| format!("{stage} {time:?}")).collect();
        Some(
            Error::configuration(format!(
                "shutdown.total is {total:?}, but a stop may take {sum:?}: {}",
                each.join(", ")
            ))
            .advise("raise shutdown.total (and what it stands for), or shorten a stage"),
        )
    }

    /// The longest time that a stop can take.
    pub(super) fn sum(&self, sections: &[String]) -> Duration {
        let times = self.stages(sections).map(|(_, time)| time);
        times.into_iter().fold(Duration::ZERO, Duration::saturating_add)
    }

    fn stages(&self, sections: &[String]) -> [(Stage, Duration); 8] {
        let drains = sections.iter().map(|section| self.drain_of(section));
        [
            (Stage::OnStopping, self.on_stopping),
            (Stage::Delay, self.delay),
            (Stage::Intake, self.intake),
            (Stage::Drain, drains.max().unwrap_or(self.drain)),
            (Stage::BeforeClose, self.before_close),
            (Stage::Dispose, self.dispose),
            (Stage::Close, self.close),
            (Stage::Closed, self.closed),
        ]
    }
}

fn unknown_section(section: &str, sections: &[String]) -> Error {
    Error::configuration(format!("shutdown.drain_of.{section} is of no framework that is loaded"))
        .advise(format!("name one of {}", sections.join(", ")))
}

/// Durations in words, by name.
mod by_framework {
    use std::{collections::BTreeMap, time::Duration};

    use humantime_serde::Serde;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        times: &BTreeMap<String, Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let words = times.iter().map(|(name, time)| (name, Serde::from(*time)));
        words.collect::<BTreeMap<_, Serde<Duration>>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Duration>, D::Error> {
        let words = BTreeMap::<String, Serde<Duration>>::deserialize(deserializer)?;
        Ok(words.into_iter().map(|(name, time)| (name, time.into_inner())).collect())
    }
}

/// The section `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("log")]
#[settings(crate = crate)]
#[garde(allow_unvalidated)]
pub struct LogSettings {
    /// What is logged, as tracing's filters are written: `info`, `debug,hyper=warn`; default
    /// `info`.
    #[garde(custom(crate::logging::is_filter))]
    pub level: String,
    /// How; default `pretty`.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Pretty }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogFormat {
    /// For people: one line an event, coloured in a terminal.
    #[default]
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_that_the_stages_exceed_is_refused_with_the_sum() {
        let sections = ["http".to_owned(), "amqp".to_owned()];
        let mut settings = ShutdownSettings { total: Some(seconds(30)), ..Default::default() };
        settings.check(&sections).expect("all by default are 30 s");

        settings.drain_of.insert("amqp".to_owned(), seconds(11));
        let error = settings.check(&sections).expect_err("is a second too much");
        assert_eq!(error.exit_code(), 78);
        assert_eq!(
            error.to_string(),
            "shutdown.total is 30s, but a stop may take 31s: on_stopping 2s, delay 0ns, intake 3s, \
             drain 11s, before_close 3s, dispose 5s, close 5s, closed 2s",
        );
    }

    #[test]
    fn a_time_for_a_framework_that_is_not_loaded_is_refused() {
        let settings: ShutdownSettings =
            serde_json::from_str(r#"{"drain_of":{"htpp":"1s"}}"#).expect("is well-formed");
        assert_eq!(settings.drain_of("htpp"), seconds(1));
        let error = settings.check(&["http".to_owned()]).expect_err("is misspelt");
        assert_eq!(error.advice(), Some("name one of http"));
    }

    #[test]
    fn settings_survive_being_written() {
        let mut settings = ShutdownSettings::default();
        settings.drain_of.insert("http".to_owned(), seconds(7));
        let json = serde_json::to_string(&settings).expect("is written");
        assert_eq!(serde_json::from_str::<ShutdownSettings>(&json).expect("is read"), settings);
    }
}
