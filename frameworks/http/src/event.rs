//! Server-sent events with more than their data (the HTML standard, section 9.2).

use std::time::Duration;

use http::HeaderName;
use polyport_bootstrap::{
    Error,
    operation::{Context, Fault, FromContext, InputSlot, NoPayload, OperationInfo},
};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::value::RawValue;

use crate::PROTOCOL;

/// An item of a stream with a name, an id, or a time to wait before the client comes back. Where the
/// client asks for server-sent events these are the event's fields; in JSON lines, and on the other
/// protocols, the item is `{"event":…,"id":…,"retry":…,"data":…}` with what it has of them.
///
/// # Examples
/// ```
/// use futures_util::{StreamExt, stream};
/// use polyport_bootstrap::operation::{Fault, Items};
/// use polyport_http::{LastEventId, ServerEvent};
///
/// /// Goes on behind what the client has seen.
/// async fn ticks(LastEventId(last): LastEventId) -> Result<Items<ServerEvent>, Fault> {
///     let first = last.and_then(|last| last.parse::<u64>().ok()).map_or(0, |last| last + 1);
///     let ticks = stream::iter(first..first + 3);
///     Ok(Items::new(ticks.map(|n| Ok::<_, Fault>(ServerEvent::json(&n)?.event("tick").id(n)))))
/// }
/// # drop(ticks);
/// ```
#[derive(Debug, Clone)]
pub struct ServerEvent {
    event: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
    data: Data,
}

#[derive(Debug, Clone)]
enum Data {
    Json(Box<RawValue>),
    Text(String),
}

impl ServerEvent {
    /// An event whose data is JSON.
    ///
    /// # Errors
    /// Returns an internal fault where the value cannot be JSON.
    pub fn json(data: &impl Serialize) -> Result<Self, Fault> {
        let data = serde_json::value::to_raw_value(data);
        let fault =
            |error| Error::other("an event's data cannot be written as JSON").caused_by(error);
        Ok(Self::of(Data::Json(data.map_err(fault)?)))
    }

    /// An event whose data is text, of one line or several.
    pub fn text(data: impl Into<String>) -> Self {
        Self::of(Data::Text(data.into()))
    }

    fn of(data: Data) -> Self {
        Self { event: None, id: None, retry: None, data }
    }

    /// Names it: browsers give it to those who listen for this name. Control characters are left out.
    #[must_use]
    pub fn event(mut self, name: impl ToString) -> Self {
        self.event = Some(line(&name.to_string()));
        self
    }

    /// Sets its id, which a client that has lost the connection sends as `Last-Event-ID`
    /// ([`LastEventId`]). Control characters are left out.
    #[must_use]
    pub fn id(mut self, id: impl ToString) -> Self {
        self.id = Some(line(&id.to_string()));
        self
    }

    /// Says how long a client that has lost the connection waits before it comes back.
    #[must_use]
    pub fn retry(mut self, after: Duration) -> Self {
        self.retry = Some(after);
        self
    }

    /// Writes its fields, and the empty line at its end.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut field = |name: &str, value: &str| {
            for part in [name, ": ", value, "\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        };
        if let Some(event) = &self.event {
            field("event", event);
        }
        if let Some(id) = &self.id {
            field("id", id);
        }
        if let Some(retry) = self.retry {
            field("retry", &retry.as_millis().to_string());
        }
        let data = match &self.data {
            Data::Json(json) => json.get(),
            Data::Text(text) => text,
        };
        // A line ends in CR LF, LF or CR alone.
        data.replace("\r\n", "\n").split(['\n', '\r']).for_each(|line| field("data", line));
        out.push(b'\n');
    }
}

fn line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

impl Serialize for ServerEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("ServerEvent", 4)?;
        for (name, value) in [("event", &self.event), ("id", &self.id)] {
            match value {
                Some(value) => event.serialize_field(name, value)?,
                None => event.skip_field(name)?,
            }
        }
        match self.retry {
            Some(retry) => event.serialize_field("retry", &retry.as_millis())?,
            None => event.skip_field("retry")?,
        }
        match &self.data {
            Data::Json(json) => event.serialize_field("data", json)?,
            Data::Text(text) => event.serialize_field("data", text)?,
        }
        event.end()
    }
}

/// The id of the last event that the client has seen before it lost the connection
/// (`Last-Event-ID`), as an argument of an operation. On HTTP only: elsewhere it is a wiring error
/// at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastEventId(pub Option<String>);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl FromContext for LastEventId {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let id = context.metadata.get(LAST_EVENT_ID).map(|value| value.as_bytes());
        let id = id.filter(|id| !id.is_empty()).and_then(|id| std::str::from_utf8(id).ok());
        Ok(Self(id.map(str::to_owned)))
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "LastEventId");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &ServerEvent) -> String {
        let mut out = Vec::new();
        event.write(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn no_text_gets_out_of_its_field() {
        let event = ServerEvent::text("a\r\nb\rc\n\nevent: x").event("n\ndata: y").id("1\r\n2\0");
        let lines =
            "event: ndata: y\nid: 12\ndata: a\ndata: b\ndata: c\ndata: \ndata: event: x\n\n";
        assert_eq!(written(&event), lines);
        assert_eq!(written(&ServerEvent::text("")), "data: \n\n");
    }
}
