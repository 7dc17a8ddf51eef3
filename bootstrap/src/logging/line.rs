//! A line of the log, as people read it.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    fmt::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime as Stamp},
    },
    registry::LookupSpan,
};

/// Writes an event as tracing-subscriber's own format without colours does, for less: the date is
/// made once a second, and a text is taken apart only where something in it has to be escaped.
pub(super) struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // To write into a text costs less than to call a writer that is not known for each piece.
        // It is taken, since what is written may log something itself.
        let mut text = TEXT.take();
        let written = write_line(context, event, &mut text).and_then(|()| out.write_str(&text));
        if text.capacity() <= KEPT {
            text.clear();
            TEXT.set(text);
        }
        written
    }
}

/// Room for longer lines is not kept.
const KEPT: usize = 16 * 1024;

thread_local! {
    static TEXT: Cell<String> = const { Cell::new(String::new()) };
}

fn write_line<S, N>(
    context: &FmtContext<'_, S, N>,
    event: &Event<'_>,
    out: &mut String,
) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    stamp(out)?;
    out.push_str(level(event.metadata().level()));
    write_spans(context, out)?;
    out.push_str(event.metadata().target());
    out.push(':');
    let mut fields = Fields { out, written: Ok(()) };
    event.record(&mut fields);
    fields.written?;
    out.push('\n');
    Ok(())
}

fn level(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => " ERROR ",
        Level::WARN => "  WARN ",
        Level::INFO => "  INFO ",
        Level::DEBUG => " DEBUG ",
        Level::TRACE => " TRACE ",
    }
}

/// `2026-11-30T10:21:18.123456Z`
fn stamp(out: &mut String) -> fmt::Result {
    thread_local! {
        static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if text.is_empty() || *second != since.as_secs() {
            *second = since.as_secs();
            text.clear();
            Stamp.format_time(&mut Writer::new(text))?;
            // It may be the next second already, which then is written for this line.
            text.truncate(text.find('.').unwrap_or(text.len()));
        }
        out.push_str(text);
        Ok(())
    })?;
    let (mut fraction, mut rest) = (*b".000000Z", since.subsec_micros());
    for digit in fraction[1..7].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    out.push_str(std::str::from_utf8(&fraction).unwrap_or_default());
    Ok(())
}

/// The spans that it happened in, the outermost first: `one{user=7}:two: `.
fn write_spans<S, N>(context: &FmtContext<'_, S, N>, out: &mut String) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let Some(scope) = context.event_scope() else { return Ok(()) };
    let mut separator = "";
    for span in scope.from_root() {
        out.push_str(span.name());
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>();
        if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
            write!(out, "{{{fields}}}")?;
        }
        out.push(':');
        separator = " ";
    }
    out.push_str(separator);
    Ok(())
}

/// Writes the fields, the message first, which has no name.
struct Fields<'a> {
    out: &'a mut String,
    written: fmt::Result,
}

impl Fields<'_> {
    /// Nothing more is written once something could not be.
    fn write(&mut self, write: impl FnOnce(&mut String) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = write(self.out);
        }
    }

    fn field(&mut self, field: &Field, write: impl FnOnce(&mut String) -> fmt::Result) {
        self.write(|out| {
            out.push(' ');
            let name = field.name();
            out.push_str(name.strip_prefix("r#").unwrap_or(name));
            out.push('=');
            write(out)
        });
    }

    fn message(&mut self, text: &dyn fmt::Debug) {
        self.write(|out| {
            out.push(' ');
            write!(Harmless(out), "{text:?}")
        });
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            MESSAGE => self.message(&format_args!("{value}")),
            _ if is_plain(value) => self.field(field, |out| {
                out.push('"');
                out.push_str(value);
                out.push('"');
                Ok(())
            }),
            _ => self.field(field, |out| write!(out, "{value:?}")),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.field(field, |out| {
            write!(Harmless(out), "{value}")?;
            let mut source = value.source();
            while let Some(error) = source {
                write!(Harmless(out), ": {error}")?;
                source = error.source();
            }
            Ok(())
        });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, |out| write_number(out, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            MESSAGE => self.message(value),
            _ => self.field(field, |out| write!(out, "{value:?}")),
        }
    }
}

/// Most numbers with a fraction are milliseconds of a whole number of microseconds, for which the
/// shortest digits need not be looked for.
fn write_number(out: &mut String, value: f64) -> fmt::Result {
    let thousandths = (value * 1e3).round();
    if value.is_sign_negative() || thousandths >= 1e12 || thousandths / 1e3 != value {
        return write!(out, "{value:?}");
    }
    let (whole, rest) = (thousandths as u64 / 1000, thousandths as u64 % 1000);
    match rest {
        _ if rest % 100 == 0 => write!(out, "{whole}.{}", rest / 100),
        _ if rest % 10 == 0 => write!(out, "{whole}.{:02}", rest / 10),
        _ => write!(out, "{whole}.{rest:03}"),
    }
}

const MESSAGE: &str = "message";

/// Whether a text is the same between quotes.
fn is_plain(text: &str) -> bool {
    all(text, |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

/// Whether something holds for all bytes of a text. It is asked of all of them, whatever the answer
/// to the first: so many are looked at at once.
fn all(text: &str, is_so: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |so_far, byte| so_far & is_so(byte))
}

/// Writes text whose control characters would do something to a terminal.
struct Harmless<'a>(&'a mut String);

impl Write for Harmless<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if all(text, |byte| matches!(byte, b' '..=b'~')) {
            self.0.push_str(text);
            return Ok(());
        }
        for one in text.chars() {
            match one {
                '\n' | '\t' | '\r' => self.0.push(one),
                one if one.is_control() => self.0.extend(one.escape_default()),
                one => self.0.push(one),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex, PoisonError},
    };

    use proptest::prelude::*;
    use tracing_subscriber::{Layer, fmt::layer, layer::SubscriberExt, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What ours and tracing-subscriber's own format write, without the microseconds.
    fn both(log: impl Fn()) -> [String; 2] {
        let written = [Written::default(), Written::default()];
        let [ours, theirs] = written.clone();
        let ours = layer().with_ansi(false).event_format(Line).with_writer(move || ours.clone());
        let theirs = layer().with_ansi(false).with_writer(move || theirs.clone());
        tracing::subscriber::with_default(registry().with(ours.and_then(theirs)), log);
        written.map(|written| {
            let bytes = written.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let text = String::from_utf8(bytes).expect("text");
            let line = |line: &str| format!("{}{}", &line[..11], &line[26..]);
            text.lines().map(line).collect::<Vec<_>>().join("\n")
        })
    }

    #[test]
    fn a_line_reads_as_tracing_subscribers_own() {
        let [ours, theirs] = both(|| {
            let (text, none) = ("a \"b\" ä\n", None::<u8>);
            tracing::info!(target: "polyport::traffic", text, plain = "a b", none, "call answered");
            tracing::warn!(time = 0.125, count = 7_u64, is = true, shown = %"x", r#type = ?text);
            let _span = tracing::info_span!("one", user = 7).entered();
            tracing::info_span!("two").in_scope(|| tracing::error!("in {}", "spans"));
        });
        assert!(ours.contains(r#" INFO polyport::traffic: call answered text="a \"b\" ä\n""#));
        assert_eq!(ours, theirs);
    }

    proptest! {
        #[test]
        fn a_number_reads_as_rust_writes_it(
            micros in prop_oneof![0..2_000_u64, any::<u64>()],
            other in any::<f64>(),
        ) {
            for value in [micros as f64 / 1e3, other] {
                let mut text = String::new();
                write_number(&mut text, value).expect("is written");
                prop_assert_eq!(text, format!("{value:?}"));
            }
        }
    }

    #[test]
    fn no_message_commands_a_terminal() {
        let [ours, _] = both(|| tracing::info!("a\x1b[31mb\u{9b}c"));
        assert!(ours.ends_with(r"a\u{1b}[31mb\u{9b}c"), "{ours}");
    }
}
