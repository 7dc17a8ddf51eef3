//! Server-sent events, read.

use std::{fmt, time::Duration};

use serde::de::DeserializeOwned;

/// A server-sent event (the HTML standard, section 9.2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedEvent {
    /// Its name; `message` where it has none.
    pub event: String,
    /// The id, of this event or of the last one before it that had one.
    pub id: Option<String>,
    /// The time to wait before the client comes back, where it says so.
    pub retry: Option<Duration>,
    /// Its data.
    pub data: String,
}

impl ReceivedEvent {
    /// The data's value, read from JSON.
    ///
    /// # Panics
    /// Panics where the data is not JSON or no `T`.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match self.read() {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_str(&self.data).map_err(|error| format!("{error} in {self:?}"))
    }
}

/// Reads events from bytes as they come.
#[derive(Default)]
pub(super) struct EventReader {
    line: Vec<u8>,
    /// The line before has ended with a carriage return, so a line feed belongs to that.
    after_return: bool,
    event: String,
    id: Option<String>,
    retry: Option<Duration>,
    data: Option<String>,
}

impl EventReader {
    /// The events that have become complete.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Vec<ReceivedEvent> {
        let mut events = Vec::new();
        for &byte in bytes {
            let is_rest = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            match byte {
                _ if is_rest => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                byte => self.line.push(byte),
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<ReceivedEvent> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        self.field(field, value.strip_prefix(' ').unwrap_or(value));
        None
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.event),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" => self.retry = value.parse().ok().map(Duration::from_millis),
            "data" => match &mut self.data {
                Some(data) => data.extend(["\n", value]),
                None => self.data = Some(value.to_owned()),
            },
            // A comment, or a field of another time.
            _ => {}
        }
    }

    fn end_event(&mut self) -> Option<ReceivedEvent> {
        let (event, retry) = (std::mem::take(&mut self.event), self.retry.take());
        let event = if event.is_empty() { "message".to_owned() } else { event };
        let data = self.data.take()?;
        Some(ReceivedEvent { event, id: self.id.clone(), retry, data })
    }
}

impl fmt::Debug for EventReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventReader")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn events_are_read_with_all_that_they_have() {
        let text = ": hello\n\nevent: tick\nid: 7\nretry: 1500\ndata: {\"n\":1}\n\ndata:a\r\ndata: b\r\n\r\ndata";
        let events = EventReader::default().read(text.as_bytes());
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].event.as_str(), events[0].id.as_deref()), ("tick", Some("7")));
        assert_eq!(events[0].retry, Some(Duration::from_millis(1500)));
        assert_eq!(events[0].json::<serde_json::Value>()["n"], 1);
        assert_eq!((events[1].event.as_str(), events[1].data.as_str()), ("message", "a\nb"));
        assert_eq!((events[1].id.as_deref(), events[1].retry), (Some("7"), None));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_come(text in "[a:\\n\\r ]{0,60}(data: x\\r?\\n){0,3}\\n", at in 0_usize..80) {
            let whole = EventReader::default().read(text.as_bytes());
            let (first, rest) = text.as_bytes().split_at(at.min(text.len()));
            let mut reader = EventReader::default();
            let mut parts = reader.read(first);
            parts.extend(reader.read(rest));
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn no_bytes_are_too_much(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            EventReader::default().read(&bytes);
        }
    }
}
