//! Log lines find their application.
//!
//! tracing knows one subscriber for the process and one for each thread, and the tasks of an
//! application run on any thread. So there is one subscriber for all applications under test, set
//! up by the first, which gives each line to the application whose part the running task is: it
//! says so itself ([`Witness::around`]), it runs a call or a background task, or it runs on a
//! runtime where only one application is under test. A line that belongs to none of them is
//! dropped.

use std::{
    fmt::{self, Write},
    sync::{
        Arc, Mutex, Once, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::runtime::{Handle, Id};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    layer::{Context as LayerContext, SubscriberExt},
};

use super::Recorder;
use crate::{
    Context,
    framework::{Recorded, RecordedKind, Witness},
    testing::Ledger,
};

/// The applications under test, by the runtime that each was started on.
static LIVING: Mutex<Vec<(Id, Weak<Ledger>)>> = Mutex::new(Vec::new());

/// The most that any of them wants to hear of, as tracing numbers levels.
static LOUDEST: AtomicUsize = AtomicUsize::new(3);

/// What is recorded where the application says nothing of it.
pub(super) fn default_filter() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

/// A filter as `log.level` has it, as far as it speaks of levels and targets, above the directives
/// of the frameworks.
pub(super) fn filter(level: &str, directives: &[&str]) -> Targets {
    let parsed = |level| [directives, &[level]].concat().join(",").parse().ok();
    parsed(level).or_else(|| parsed("info")).unwrap_or_else(default_filter)
}

/// Listens to so much from now on.
pub(super) fn raise(filter: &Targets) {
    let levels = filter.iter().map(|(_, level)| level).chain(filter.default_level());
    let wanted = levels.max().unwrap_or(LevelFilter::OFF);
    let wanted = wanted.into_level().map_or(0, number);
    if LOUDEST.fetch_max(wanted, Relaxed) < wanted {
        tracing::callsite::rebuild_interest_cache();
    }
}

fn number(level: Level) -> usize {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// Sets up the subscriber, unless the process has one already: a test harness's, say, whose log
/// stays what it is.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = tracing::subscriber::set_global_default(Registry::default().with(Router));
    });
}

/// The application is a part of the runtime that this is called on.
pub(crate) fn lives_here(ledger: &Arc<Ledger>) {
    let Ok(runtime) = Handle::try_current() else { return };
    let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
    living.retain(|(_, ledger)| ledger.strong_count() > 0);
    living.push((runtime.id(), Arc::downgrade(ledger)));
}

/// Whose line it is.
fn here() -> Option<Recorder> {
    let told = Witness::here();
    let ledger = told.ledger().cloned();
    let ledger = ledger.or_else(|| Context::current()?.witness()?.ledger().cloned());
    Some(ledger.or_else(only_one_here)?.recorder().clone())
}

/// The application of this runtime, where there is no other.
fn only_one_here() -> Option<Arc<Ledger>> {
    let runtime = Handle::try_current().ok()?.id();
    let living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
    let here = living.iter().filter(|(id, _)| *id == runtime);
    let mut alive = here.filter_map(|(_, ledger)| ledger.upgrade());
    let first = alive.next()?;
    alive.next().is_none().then_some(first)
}

/// Gives each line to its application.
struct Router;

impl<S: Subscriber> Layer<S> for Router {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match number(*metadata.level()) <= LOUDEST.load(Relaxed) {
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: LayerContext<'_, S>) -> bool {
        metadata.is_event() && here().is_some_and(|recorder| recorder.lets_through(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LOUDEST.load(Relaxed) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let Some(recorder) = here() else { return };
        let metadata = event.metadata();
        let mut line = Line::default();
        event.record(&mut line);
        let level = metadata.level().as_str();
        let mut recorded = Recorded::new(RecordedKind::Logged, level, metadata.target());
        recorded.text = Some(line.text());
        recorded.request_id = Context::current().map(|context| context.request_id.to_string());
        recorder.add(recorded);
    }
}

/// A line: its message, then its fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn text(self) -> String {
        format!("{}{}", self.message, self.fields).trim().to_owned()
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
