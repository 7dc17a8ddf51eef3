use std::time::Duration;

use garde::Validate;
use serde::Deserialize;

use super::PublishMode;
use crate::settings::leaves_time;

/// The section `amqp.publish`.
///
/// # Examples
/// ```
/// let settings = polyport_amqp::PublishSettings::default();
/// assert_eq!((settings.window, settings.outbox), (128, 4096));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct PublishSettings {
    /// What a publisher waits for, where the message does not say it: `confirmed` (the default),
    /// `fail_fast` or `fire_and_forget`.
    pub mode: PublishMode,
    /// How long a publisher waits for the connection, for room in the outbox and for the broker's
    /// confirmation, all together; default 5 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(leaves_time))]
    pub timeout: Duration,
    /// How many messages may be on their way to the broker, unconfirmed, at once; default 128.
    #[garde(range(min = 1))]
    pub window: u16,
    /// How many messages may be accepted and not confirmed yet, those on their way included;
    /// default 4096.
    #[garde(range(min = 1, max = MOST))]
    pub outbox: usize,
    /// How many bytes, of bodies and headers, these may take together; default 64 MiB. A message
    /// that is larger than that alone waits until it is the only one.
    #[garde(range(min = 1, max = MOST))]
    pub outbox_bytes: usize,
    /// How many different delays ([`Message::delay`](crate::Message::delay)) to different
    /// exchanges a process may use: each is a queue on the broker. Default 64.
    pub delays: usize,
}

/// The most that one message can be counted as.
const MOST: usize = u32::MAX as usize;

impl Default for PublishSettings {
    fn default() -> Self {
        Self {
            mode: PublishMode::default(),
            timeout: Duration::from_secs(5),
            window: 128,
            outbox: 4096,
            outbox_bytes: 64 * 1024 * 1024,
            delays: 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn modes_are_words_and_zeros_are_refused() {
        let read = |value| serde_json::from_value::<PublishSettings>(value);
        let settings = read(json!({ "mode": "fail_fast", "timeout": "1s" })).expect("fits");
        assert_eq!((settings.mode, settings.timeout.as_secs()), (PublishMode::FailFast, 1));
        assert!(read(json!({ "mode": "sometimes" })).is_err());
        let zeros = json!({ "timeout": "0s", "window": 0, "outbox": 0, "outbox_bytes": 0 });
        let report = read(zeros).expect("can be read").validate().expect_err("zeros").to_string();
        for key in ["timeout", "window", "outbox", "outbox_bytes"] {
            assert!(report.contains(&format!("{key}: ")), "{report}");
        }
    }
}
