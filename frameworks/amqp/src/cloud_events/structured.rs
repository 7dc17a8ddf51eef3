//! Structured mode: attributes and data are one JSON object in the body (section 3.2 of the binding,
//! and the JSON format of events).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::CloudEvent;

const STRUCTURED: &str = "application/cloudevents+json";
/// Everything of CloudEvents begins like this: batches, and formats other than JSON.
const FAMILY: &str = "application/cloudevents";

/// A message whose body is an event as a whole, taken out of it.
#[derive(Debug)]
pub(crate) struct Opened {
    event: Result<CloudEvent, String>,
    content_type: Option<String>,
}

impl Opened {
    pub(crate) fn event(&self) -> Option<&CloudEvent> {
        self.event.as_ref().ok()
    }

    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.event.as_ref().err().map(String::as_str)
    }

    /// What the data is said to be.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }
}

/// Opens a body of this content type, where it is an event as a whole: says what it is, and what its
/// data is.
pub(crate) fn open(content_type: Option<&str>, body: &Bytes) -> Option<(Opened, Bytes)> {
    let essence = content_type?.split(';').next()?.trim_ascii();
    let family = essence.get(..FAMILY.len())?;
    if !family.eq_ignore_ascii_case(FAMILY) {
        return None;
    }
    let opened = if essence.eq_ignore_ascii_case(STRUCTURED) {
        parse(body)
    } else {
        Err(format!("{essence} is not understood here, but {STRUCTURED}"))
    };
    Some(match opened {
        Ok((event, content_type, data)) => (Opened { event: Ok(event), content_type }, data),
        Err(what) => (Opened { event: Err(what), content_type: None }, body.clone()),
    })
}

type Parsed = (CloudEvent, Option<String>, Bytes);

fn parse(body: &Bytes) -> Result<Parsed, String> {
    let mut members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let (data, base64) = (members.remove("data"), members.remove("data_base64"));
    let mut attributes = BTreeMap::new();
    for (name, value) in members {
        if let Some(text) = text(value).map_err(|()| format!("{name} is no text"))? {
            attributes.insert(name, text);
        }
    }
    let content_type = attributes.remove("datacontenttype");
    let event = CloudEvent::of_attributes(attributes)?;
    let data = match (data, base64) {
        (None, None) => Bytes::new(),
        (Some(json), None) => of_json(json, content_type.as_deref(), body),
        (None, Some(base64)) => of_base64(base64)?,
        (Some(_), Some(_)) => return Err("it has both data and data_base64".to_owned()),
    };
    Ok((event, content_type, data))
}

/// The value of an attribute; none where it is null.
fn text(value: &RawValue) -> Result<Option<String>, ()> {
    match serde_json::from_str(value.get()) {
        Ok(serde_json::Value::Null) => Ok(None),
        Ok(serde_json::Value::String(text)) => Ok(Some(text)),
        Ok(value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_))) => {
            Ok(Some(value.to_string()))
        }
        _ => Err(()),
    }
}

/// JSON is taken as it stands there. Of anything else that was written as a JSON string, that string
/// is the data.
fn of_json(json: &RawValue, content_type: Option<&str>, body: &Bytes) -> Bytes {
    if content_type.is_some_and(|content_type| !is_json(content_type))
        && let Ok(text) = serde_json::from_str::<String>(json.get())
    {
        return text.into();
    }
    body.slice_ref(json.get().as_bytes())
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim_ascii();
    let subtype = essence.rsplit_once('/').map_or("", |(_, subtype)| subtype);
    subtype.eq_ignore_ascii_case("json")
        || subtype.len() > 5
            && subtype.get(subtype.len() - 5..).is_some_and(|end| end.eq_ignore_ascii_case("+json"))
}

fn of_base64(value: &RawValue) -> Result<Bytes, String> {
    let text: String =
        serde_json::from_str(value.get()).map_err(|_| "data_base64 is no text".to_owned())?;
    let decoded = data_encoding::BASE64.decode(text.as_bytes());
    decoded.map(Bytes::from).map_err(|error| format!("data_base64: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn opened(event: &serde_json::Value) -> (Opened, Bytes) {
        open(Some(STRUCTURED), &Bytes::from(event.to_string())).expect("an event")
    }

    fn event(more: serde_json::Value) -> serde_json::Value {
        let mut event = json!({ "specversion": "1.0", "id": "1", "source": "/s", "type": "t" });
        let own = event.as_object_mut().expect("an object");
        own.extend(more.as_object().expect("an object").clone());
        event
    }

    #[test]
    fn data_is_taken_out_as_it_is_meant() {
        for (more, expected) in [
            (json!({ "data": { "a": [1] } }), &b"{\"a\":[1]}"[..]),
            (json!({ "data": "text" }), b"\"text\""),
            (json!({ "data": "text", "datacontenttype": "text/plain" }), b"text"),
            (json!({ "data": "text", "datacontenttype": "application/problem+json" }), b"\"text\""),
            (json!({ "data_base64": "AP8=", "datacontenttype": "x/y" }), &[0, 255]),
            (json!({}), b""),
        ] {
            let (opened, data) = opened(&event(more.clone()));
            assert_eq!((opened.fault(), &*data), (None, expected), "{more}");
        }
    }

    #[test]
    fn attributes_and_extensions_are_read() {
        let more = json!({ "subject": "o-7", "tenant": "acme", "retries": 3, "none": null });
        let (opened, _) = opened(&event(more));
        let event = opened.event().expect("an event");
        assert_eq!((&*event.id, &*event.source, &*event.event_type), ("1", "/s", "t"));
        assert_eq!(event.subject.as_deref(), Some("o-7"));
        let extensions: Vec<_> = event.extensions.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(extensions, ["retries=3", "tenant=acme"]);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (what, named) in [
            (json!({ "specversion": "0.3" }), "specversion"),
            (json!({ "id": null }), "id is missing"),
            (json!({ "source": "" }), "source is empty"),
            (json!({ "type": ["t"] }), "type is no text"),
            (json!({ "data": 1, "data_base64": "" }), "both"),
            (json!({ "data_base64": "?" }), "data_base64"),
        ] {
            let (opened, _) = opened(&event(what));
            assert!(opened.fault().is_some_and(|fault| fault.contains(named)), "{opened:?}");
        }
        let batch = open(Some("application/cloudevents-batch+json"), &Bytes::from("[]"));
        assert!(batch.expect("an event").0.fault().is_some());
        assert!(open(Some("application/json"), &Bytes::new()).is_none());
        assert!(open(None, &Bytes::new()).is_none());
    }

    proptest! {
        #[test]
        fn no_body_and_no_content_type_make_it_panic(content_type in "\\PC{0,40}", body in any::<Vec<u8>>()) {
            let body = Bytes::from(body);
            let _ = open(Some(&content_type), &body);
            let _ = open(Some(STRUCTURED), &body);
        }
    }
}
