//! A message carries a trace in its headers, as strings.

use polyport_bootstrap::{
    Context,
    operation::{TIMEOUT_HEADER, trace::Carrier},
};
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

impl Message {
    /// Adds what the call passes on that this is published in: its request id, its trace and
    /// baggage, and where a reply is asked for, how long it waits for that. What the message says of
    /// these itself stands.
    pub(crate) fn in_current_call(mut self) -> Self {
        let Some(context) = Context::current() else { return self };
        let own = std::mem::take(&mut self.headers);
        context.inject(&mut self);
        let says = |name: &str| own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let (is_asked, is_traced) = (self.reply_to.is_some(), says("traceparent"));
        self.headers.retain(|(name, _)| match name.as_str() {
            TIMEOUT_HEADER if !is_asked => false,
            "tracestate" if is_traced => false,
            name => !says(name),
        });
        self.headers.extend(own);
        self
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
