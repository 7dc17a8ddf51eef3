use std::{fmt, time::Duration};

use crate::operation::{Fault, FaultKind};

/// What kind of thing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordedKind {
    /// An operation was called, and has answered.
    Called,
    /// A call has ended in a fault.
    Faulted,
    /// Something was sent to a client that has not asked for it: a push.
    Sent,
    /// A message was published.
    Published,
    /// A message was taken from a queue.
    Consumed,
    /// A message was handled and acknowledged.
    Acknowledged,
    /// A message was put aside for its next attempt, or given back.
    Retried,
    /// A message was parked, or dropped.
    DeadLettered,
    /// A line was logged.
    Logged,
}

impl fmt::Display for RecordedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Called => "called",
            Self::Faulted => "faulted",
            Self::Sent => "sent",
            Self::Published => "published",
            Self::Consumed => "consumed",
            Self::Acknowledged => "acked",
            Self::Retried => "retried",
            Self::DeadLettered => "parked",
            Self::Logged => "logged",
        })
    }
}

/// Something that happened in an application under test, in the same words for all frameworks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// How long after the begin of the test.
    pub at: Duration,
    /// What it is.
    pub kind: RecordedKind,
    /// The kind of the framework: `"http"`, `"amqp"`; of a log line its level.
    pub framework: String,
    /// The route, queue or event: `"GET /users"`, `"orders"`; of a log line its target.
    pub route: String,
    /// The operation that was called.
    pub operation: Option<String>,
    /// The request id of the call that it belongs to.
    pub request_id: Option<String>,
    /// The id of the message, where the protocol has one.
    pub message_id: Option<String>,
    /// How long the message is, in bytes.
    pub size: Option<usize>,
    /// The message, as far as it is text; the log line; the fault with its source.
    pub text: Option<String>,
    /// The kind of the fault.
    pub fault: Option<FaultKind>,
    /// The reason of the fault.
    pub reason: Option<String>,
}

impl Recorded {
    /// Something of `kind` on `framework`, by `route`.
    pub fn new(kind: RecordedKind, framework: impl Into<String>, route: impl Into<String>) -> Self {
        Self {
            at: Duration::ZERO,
            kind,
            framework: framework.into(),
            route: route.into(),
            operation: None,
            request_id: None,
            message_id: None,
            size: None,
            text: None,
            fault: None,
            reason: None,
        }
    }

    /// A push to a client.
    pub fn sent(framework: impl Into<String>, event: impl Into<String>) -> Self {
        Self::new(RecordedKind::Sent, framework, event)
    }

    /// A message that was published.
    pub fn published(framework: impl Into<String>, route: impl Into<String>) -> Self {
        Self::new(RecordedKind::Published, framework, route)
    }

    /// A message that was taken from a queue.
    pub fn consumed(framework: impl Into<String>, queue: impl Into<String>) -> Self {
        Self::new(RecordedKind::Consumed, framework, queue)
    }

    /// Of which operation it is.
    #[must_use]
    pub fn operation(mut self, name: impl Into<String>) -> Self {
        self.operation = Some(name.into());
        self
    }

    /// Of which call it is.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Of which message it is.
    #[must_use]
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// How long the message is, in bytes.
    #[must_use]
    pub fn size(mut self, bytes: usize) -> Self {
        self.size = Some(bytes);
        self
    }

    /// The message, where it is text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// What it has ended in.
    #[must_use]
    pub fn fault(mut self, fault: &Fault) -> Self {
        self.fault = Some(fault.kind());
        self.reason = Some(fault.reason().to_owned());
        self.text(match fault.source_text() {
            Some(source) => format!("{fault} ({source})"),
            None => fault.to_string(),
        })
    }

    /// The message as JSON, where it is that.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.text.as_deref()?).ok()
    }
}

/// One line, as it stands in the report of a failed test.
impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, kind, framework, route, operation, request_id, message_id, .. } = self;
        write!(f, "{:>9.3} ms  {kind:<9}  {framework} {route}", at.as_secs_f64() * 1e3)?;
        if let Some(operation) = operation {
            write!(f, "  {operation}")?;
        }
        if let Some(size) = &self.size {
            write!(f, "  {size} B")?;
        }
        if let Some(text) = &self.text {
            write!(f, "  {text}")?;
        }
        if let Some(id) = message_id {
            write!(f, "  message {id}")?;
        }
        match request_id {
            Some(id) => write!(f, "  [{id}]"),
            None => Ok(()),
        }
    }
}
