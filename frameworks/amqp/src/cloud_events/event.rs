use std::{collections::BTreeMap, time::SystemTime};

use uuid::Uuid;

/// The attributes of a CloudEvent (version 1.0 of the specification): an extractor for operations
/// that are served on AMQP only, and what [`Message::cloud_event`](crate::Message::cloud_event)
/// publishes. The event's data is the operation's input.
///
/// Both modes are read: binary (headers `cloudEvents_*` or `cloudEvents:*`) and structured
/// (`application/cloudevents+json`). A message whose required attributes are missing or empty, or
/// that has another version, is parked.
///
/// # Examples
/// ```
/// use polyport_amqp::CloudEvent;
/// use polyport_bootstrap::Fault;
///
/// async fn on_event(event: CloudEvent) -> Result<(), Fault> {
///     println!("{} {} from {}", event.event_type, event.id, event.source);
///     Ok(())
/// }
///
/// let event = CloudEvent::new("order.created", "/orders").subject("o-7").extension("tenant", "acme");
/// assert_eq!(event.subject.as_deref(), Some("o-7"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloudEvent {
    /// What tells the event from others of its source. Both together recognise a duplicate.
    pub id: String,
    /// Where it happened: a URI reference.
    pub source: String,
    /// What happened, the attribute `type`: `order.created`.
    pub event_type: String,
    /// What it happened to, within the source.
    pub subject: Option<String>,
    /// When it happened, as RFC 3339 writes it.
    pub time: Option<String>,
    /// The schema that the data keeps to: a URI.
    pub dataschema: Option<String>,
    /// Further attributes, as text.
    pub extensions: BTreeMap<String, String>,
}

impl CloudEvent {
    /// An event that happens now, with a new UUIDv7 (RFC 9562) as its id.
    #[must_use]
    pub fn new(event_type: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            id: Uuid::now_v7().to_string(),
            source: source.into(),
            event_type: event_type.into(),
            subject: None,
            time: Some(humantime::format_rfc3339_millis(SystemTime::now()).to_string()),
            dataschema: None,
            extensions: BTreeMap::new(),
        }
    }

    /// Sets the id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Says what it happened to.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Says which schema the data keeps to.
    #[must_use]
    pub fn dataschema(mut self, schema: impl Into<String>) -> Self {
        self.dataschema = Some(schema.into());
        self
    }

    /// Adds a further attribute, whose name is of lower-case letters and digits.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    /// Makes an event of its attributes, which are taken out of `take` by name; those that are left
    /// are `extensions`.
    ///
    /// # Errors
    /// Says what is missing.
    pub(super) fn of_attributes(mut attributes: BTreeMap<String, String>) -> Result<Self, String> {
        match attributes.remove("specversion").as_deref() {
            Some(super::VERSION) => {}
            Some(other) => return Err(format!("specversion is {other:?}, and not \"1.0\"")),
            None => return Err("specversion is missing".to_owned()),
        }
        let mut required = |name: &str| match attributes.remove(name) {
            Some(value) if !value.is_empty() => Ok(value),
            Some(_) => Err(format!("{name} is empty")),
            None => Err(format!("{name} is missing")),
        };
        let (id, source, event_type) = (required("id")?, required("source")?, required("type")?);
        Ok(Self {
            id,
            source,
            event_type,
            subject: attributes.remove("subject"),
            time: attributes.remove("time"),
            dataschema: attributes.remove("dataschema"),
            extensions: attributes,
        })
    }

    /// Its attributes by their names.
    pub(crate) fn into_attributes(self) -> impl Iterator<Item = (String, String)> {
        let known = [
            ("specversion", Some(super::VERSION.to_owned())),
            ("id", Some(self.id)),
            ("source", Some(self.source)),
            ("type", Some(self.event_type)),
            ("subject", self.subject),
            ("time", self.time),
            ("dataschema", self.dataschema),
        ];
        let known = known.into_iter();
        let known = known.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        known.chain(self.extensions)
    }
}
