use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Whatever carries a trace from process to process: headers, metadata, a message's header table.
///
/// Names are in lower case and match whatever the case in the carrier. Only text counts: what is
/// not ASCII is as if it were not there.
///
/// HTTP's headers are a carrier themselves; gRPC's metadata are by `metadata.as_mut()`; a call's
/// `metadata` is one on every protocol.
///
/// # Examples
/// ```
/// use std::collections::BTreeMap;
/// use polyport_bootstrap::operation::trace::{Carrier, TraceContext};
///
/// let mut job = BTreeMap::new();
/// TraceContext::root(true).inject(&mut job);
/// assert_eq!(job.get_first("traceparent").map(str::len), Some(55));
/// ```
pub trait Carrier {
    /// Every value of this name, in order.
    fn get_all(&self, name: &str) -> Vec<&str>;

    /// Sets the one value of this name. What the carrier cannot hold is left out.
    fn set(&mut self, name: &'static str, value: &str);

    /// Removes every value of this name.
    fn remove(&mut self, name: &'static str);

    /// Every name, once or more often.
    fn keys(&self) -> Vec<&str>;

    /// The first value of this name.
    fn get_first(&self, name: &str) -> Option<&str> {
        self.get_all(name).first().copied()
    }
}

impl Carrier for HeaderMap {
    fn get_all(&self, name: &str) -> Vec<&str> {
        HeaderMap::get_all(self, name).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    fn set(&mut self, name: &'static str, value: &str) {
        let name = HeaderName::from_lowercase(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            // A map that is full (32,768 names) goes without.
            let _ = self.try_insert(name, value);
        }
    }

    fn remove(&mut self, name: &'static str) {
        HeaderMap::remove(self, name);
    }

    fn keys(&self) -> Vec<&str> {
        HeaderMap::keys(self).map(HeaderName::as_str).collect()
    }

    fn get_first(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().ok()
    }
}

impl Carrier for BTreeMap<String, String> {
    fn get_all(&self, name: &str) -> Vec<&str> {
        let entries = self.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        entries.map(|(_, value)| value.as_str()).collect()
    }

    fn set(&mut self, name: &'static str, value: &str) {
        Carrier::remove(self, name);
        self.insert(name.to_owned(), value.to_owned());
    }

    fn remove(&mut self, name: &'static str) {
        self.retain(|key, _| !key.eq_ignore_ascii_case(name));
    }

    fn keys(&self) -> Vec<&str> {
        BTreeMap::keys(self).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works(carrier: &mut dyn Carrier) {
        assert!(carrier.keys().is_empty());
        carrier.set("tracestate", "a=1");
        carrier.set("tracestate", "b=2");
        assert_eq!(carrier.get_all("tracestate"), ["b=2"]);
        assert_eq!(carrier.get_first("tracestate"), Some("b=2"));
        assert_eq!(carrier.keys(), ["tracestate"]);
        carrier.remove("tracestate");
        assert_eq!(carrier.get_first("tracestate"), None);
    }

    #[test]
    fn every_carrier_holds_one_value_under_a_name_that_is_set() {
        works(&mut HeaderMap::new());
        works(&mut BTreeMap::new());
    }

    #[test]
    fn several_values_are_read_whatever_the_case_of_their_names() {
        let mut headers = HeaderMap::new();
        headers.append("TraceState", HeaderValue::from_static("a=1"));
        headers.append("tracestate", HeaderValue::from_static("b=2"));
        headers.append("tracestate", HeaderValue::from_bytes(b"\xff").expect("opaque"));
        assert_eq!(Carrier::get_all(&headers, "tracestate"), ["a=1", "b=2"]);
        let mut map = BTreeMap::from([("TraceState".to_owned(), "a=1".to_owned())]);
        assert_eq!(Carrier::get_all(&map, "tracestate"), ["a=1"]);
        Carrier::set(&mut map, "tracestate", "b=2");
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn what_a_carrier_cannot_hold_is_left_out() {
        let mut headers = HeaderMap::new();
        Carrier::set(&mut headers, "baggage", "a\nb");
        Carrier::set(&mut headers, "not a name", "x");
        assert!(headers.is_empty());
    }
}
