//! The section `tasks`.

use std::time::Duration;

use garde::Validate;
use polyport_macros::Settings;
use serde::{Deserialize, Serialize};

use crate::Backoff;

/// The section `tasks`: what happens to background tasks that fail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("tasks")]
#[settings(crate = crate)]
#[garde(allow_unvalidated)]
pub struct TaskSettings {
    /// What a task's error or panic does, unless the task itself says otherwise; default `stop`.
    pub on_failure: OnTaskFailure,
    /// How long a task that is begun anew waits before.
    #[garde(dive)]
    pub back_off: BackoffSettings,
}

/// What a task's error or panic does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnTaskFailure {
    /// It stops the process in order; the error is its result, with a non-zero exit code.
    #[default]
    Stop,
    /// The task is begun anew after a while. A task that cannot be begun anew stops the process.
    Restart,
    /// It is logged.
    Log,
}

/// The section `tasks.back_off`: each delay is random between nothing and a bound, which doubles
/// with each failure. After half a minute without one it begins with the first again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct BackoffSettings {
    /// The first bound; default 100 ms.
    #[serde(with = "humantime_serde")]
    pub first: Duration,
    /// The last bound; default 30 s.
    #[serde(with = "humantime_serde")]
    pub last: Duration,
}

impl Default for BackoffSettings {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), last: Duration::from_secs(30) }
    }
}

impl BackoffSettings {
    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.first, self.last)
    }
}
