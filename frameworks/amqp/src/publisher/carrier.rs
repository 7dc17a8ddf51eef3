//! A message carries a trace in its headers, as strings.

use polyport_bootstrap::operation::trace::Carrier;
use serde_json::Value;

use super::Message;

/// # Examples
/// ```
/// use polyport_amqp::Message;
/// use polyport_bootstrap::operation::trace::{Carrier, TraceContext};
///
/// let mut message = Message::new("im", "message.lobby", "hi");
/// TraceContext::root(true).inject(&mut message);
/// assert!(message.get_first("traceparent").is_some());
/// ```
impl Carrier for Message {
    fn get_all(&self, name: &str) -> Vec<&str> {
        let headers = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        headers.filter_map(|(_, value)| value.as_str()).collect()
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), Value::from(value)));
    }

    fn remove(&mut self, name: &'static str) {
        self.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use polyport_bootstrap::operation::trace::{Baggage, TraceContext};

    use super::*;
    use crate::headers;

    #[test]
    fn a_trace_goes_out_with_a_message_and_comes_in_as_metadata() {
        let mut trace = TraceContext::root(true);
        assert!(trace.state_mut().insert("ours", "1"));
        let baggage = Baggage::parse(["tenant=acme"]);
        let mut message = Message::new("", "q", "").header("TraceParent", "old").header("n", 1);
        trace.inject(&mut message);
        baggage.inject(&mut message);
        assert_eq!(message.keys(), ["n", "traceparent", "tracestate", "baggage"]);
        let outgoing = message.into_outgoing().expect("a message");
        let metadata = headers::metadata(outgoing.properties.headers().as_ref());
        assert_eq!(TraceContext::extract(&metadata), Some(trace));
        assert_eq!(Baggage::extract(&metadata), baggage);
    }
}
