//! `traffic`: a log line when a call begins and one when it ends.

use std::time::Duration;

use async_trait::async_trait;
use garde::Validate;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    config::redact,
    operation::{
        Band, Context, Exposure, Fault, FaultKind, Interceptor, Next, Pipeline, Reply, ReplyBody,
    },
};

/// The section `middleware.traffic`. Its lines have the target `polyport::traffic`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct TrafficOptions {
    /// Whether there is a line when a call begins, too; default `true`.
    pub start: bool,
    /// Calls that take this long are logged as warnings; default 1 s.
    #[serde(with = "humantime_serde")]
    pub slow: Duration,
    /// Whether bodies are logged, as far as they are JSON: the values of keys that look like
    /// secrets are masked. Default `false`.
    pub bodies: bool,
    /// How much of a body is logged, in bytes; default 2048.
    #[garde(range(min = 16))]
    pub max_body: usize,
}

impl Default for TrafficOptions {
    fn default() -> Self {
        Self { start: true, slow: Duration::from_secs(1), bodies: false, max_body: 2048 }
    }
}

pub(super) fn add(pipeline: Pipeline) -> Pipeline {
    let make = |options: &TrafficOptions, exposure: &Exposure| {
        Some(Traffic { options: options.clone(), route: exposure.route.clone() })
    };
    pipeline.middleware_for("traffic", Band::Core, false, make).with_innermost(Clock)
}

/// Measures the operation itself, binding included.
struct Clock;

#[async_trait]
impl Interceptor for Clock {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let begun = Instant::now();
        let answer = next.run(context).await;
        context.set_operation_time(begun.elapsed());
        answer
    }
}

struct Traffic {
    options: TrafficOptions,
    route: String,
}

#[async_trait]
impl Interceptor for Traffic {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        if self.options.start {
            self.log_start(context);
        }
        let mut line = Line { traffic: self, context, begun: Instant::now(), is_written: false };
        let answer = next.run(context).await;
        line.write(&answer);
        answer
    }
}

impl Traffic {
    fn log_start(&self, context: &Context) {
        tracing::info!(
            target: "polyport::traffic",
            protocol = context.protocol.as_str(),
            operation = context.operation.name(),
            route = self.route,
            request_id = context.request_id.as_str(),
            request_bytes = context.input.body.len(),
            request = self.shown(&context.input.body),
            "call begins",
        );
    }

    /// A body, where it may be shown.
    fn shown(&self, body: &[u8]) -> Option<String> {
        if !self.options.bodies || body.is_empty() {
            return None;
        }
        let Ok(mut json) = serde_json::from_slice(body) else {
            return Some(format!("({} bytes, no JSON)", body.len()));
        };
        redact(&mut json);
        let mut text = json.to_string();
        if text.len() > self.options.max_body {
            text.truncate(text.floor_char_boundary(self.options.max_body));
            text.push('…');
        }
        Some(text)
    }

    /// The reply's body and its size, as far as they are known before the protocol writes it.
    fn reply(&self, reply: &Reply) -> (Option<usize>, Option<String>) {
        match reply.body() {
            ReplyBody::Empty => (Some(0), None),
            ReplyBody::Raw(raw) => (Some(raw.bytes.len()), self.shown(&raw.bytes)),
            ReplyBody::Value(value) if self.options.bodies => {
                let mut written = Vec::new();
                match value.write_json(&mut written) {
                    Ok(()) => (Some(written.len()), self.shown(&written)),
                    Err(_) => (None, None),
                }
            }
            _ => (None, None),
        }
    }
}

/// The line of a call's end, which is written also where the call is dropped.
struct Line<'a> {
    traffic: &'a Traffic,
    context: &'a Context,
    begun: Instant,
    is_written: bool,
}

/// All lines of an end, at whatever level and with whatever more they have to say.
macro_rules! end {
    ($level:ident, $line:expr, $elapsed:expr, $message:literal, $($more:tt)*) => {{
        let Line { traffic, context, .. } = $line;
        tracing::$level!(
            target: "polyport::traffic",
            protocol = context.protocol.as_str(),
            operation = context.operation.name(),
            route = traffic.route,
            request_id = context.request_id.as_str(),
            elapsed_ms = milliseconds($elapsed),
            operation_ms = context.operation_time().map(milliseconds),
            request_bytes = context.input.body.len(),
            $($more)*
            $message,
        )
    }};
}

impl Line<'_> {
    fn write(&mut self, answer: &Result<Reply, Fault>) {
        self.is_written = true;
        let elapsed = self.begun.elapsed();
        match answer {
            Ok(reply) => self.answered(reply, elapsed),
            Err(fault) => self.ended_in(fault, elapsed),
        }
    }

    fn answered(&self, reply: &Reply, elapsed: Duration) {
        let status = reply.status().map(|status| status.as_u16());
        let (response_bytes, body) = self.traffic.reply(reply);
        if elapsed >= self.traffic.options.slow {
            end!(warn, self, elapsed, "slow call", status, response_bytes, response = body,);
        } else {
            end!(info, self, elapsed, "call answered", status, response_bytes, response = body,);
        }
    }

    fn ended_in(&self, fault: &Fault, elapsed: Duration) {
        let (kind, status, reason) = (fault.kind().as_str(), fault.status(), fault.reason());
        if is_failure(fault.kind()) {
            end!(warn, self, elapsed, "call failed", fault = kind, status, reason,);
        } else if elapsed >= self.traffic.options.slow {
            end!(warn, self, elapsed, "slow call", fault = kind, status, reason,);
        } else {
            end!(info, self, elapsed, "call refused", fault = kind, status, reason,);
        }
    }
}

/// Its deadline has passed, its caller has left, or it has panicked.
impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.is_written {
            end!(warn, self, self.begun.elapsed(), "call cut off",);
        }
    }
}

/// Whether it is this side that has failed.
fn is_failure(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Internal | FaultKind::Unavailable | FaultKind::DeadlineExceeded)
}

/// To a microsecond: more digits would be noise, and take their time to write.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}
