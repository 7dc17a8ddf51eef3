//! Log lines and spans, caught for one thread.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Id, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
    subscriber::DefaultGuard,
};

/// What middleware logged, and all spans.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Caught>>);

#[derive(Debug, Default)]
struct Caught {
    lines: Vec<Line>,
    spans: Vec<Line>,
}

/// A line or a span: its level and fields by name.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) fields: BTreeMap<String, String>,
}

impl Line {
    fn of(metadata: &Metadata<'_>) -> Self {
        Self { level: *metadata.level(), fields: BTreeMap::new() }
    }

    /// A field as text; empty where there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Lines {
    /// Catches everything on this thread until the guard is dropped.
    pub(crate) fn catch() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let guard = tracing::subscriber::set_default(lines.clone());
        (lines, guard)
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.lock().unwrap().lines.clone()
    }

    /// The spans so far that are called `call`.
    pub(crate) fn spans(&self) -> Vec<Line> {
        let caught = self.0.lock().unwrap();
        caught.spans.iter().filter(|span| !span.get("otel.name").is_empty()).cloned().collect()
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
            || ["polyport::traffic", "polyport::middleware"].contains(&metadata.target())
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut span = Line::of(attributes.metadata());
        attributes.record(&mut span);
        let mut caught = self.0.lock().unwrap();
        caught.spans.push(span);
        Id::from_u64(caught.spans.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let position = usize::try_from(id.into_u64()).unwrap() - 1;
        values.record(&mut self.0.lock().unwrap().spans[position]);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::of(event.metadata());
        event.record(&mut line);
        self.0.lock().unwrap().lines.push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
