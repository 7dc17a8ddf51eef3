//! The process's log, on tracing.

mod line;
mod lines;

use std::{io::IsTerminal, sync::OnceLock};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::LevelFilter, fmt, layer::Layered, layer::SubscriberExt,
    reload, util::SubscriberInitExt,
};

use self::{line::Line, lines::Lines};
use crate::{
    Config,
    lifecycle::{LogFormat, LogSettings},
};

type Filter = reload::Layer<EnvFilter, Registry>;
type Filtered = Layered<Filter, Registry>;
type Output = Box<dyn Layer<Filtered> + Send + Sync>;

/// Those of the process, which has one standard error.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Writes what is gathered, and everything that is logged from now on at once: the process is about
/// to end, and nobody may be left to write later.
pub(crate) fn write_through() {
    if let Some(lines) = LINES.get() {
        lines.write_through();
    }
}

/// The log of a process that a bootstrap owns; the section `log` decides about it, again when the
/// configuration is complete.
pub(crate) struct Log {
    /// Those of the frameworks; what the section says stands above them.
    directives: String,
    filter: reload::Handle<EnvFilter, Registry>,
    output: reload::Handle<Output, Filtered>,
    lines: &'static Lines,
}

impl Log {
    /// Sets up the log, unless the process has one already.
    pub(crate) fn set_up(config: &Config, directives: &[&str]) -> Self {
        let (settings, directives) = (settings(config), directives.join(","));
        let (filter, filter_handle) = reload::Layer::new(filter(&settings, &directives));
        let lines = LINES.get_or_init(|| Lines::new(std::io::stderr()));
        lines.gather();
        let (output, output_handle) = reload::Layer::new(output(settings.format, lines));
        // Somebody else's log (a test harness's, an embedding program's) stays as it is.
        let _ = tracing_subscriber::registry().with(filter).with(output).try_init();
        Self { directives, filter: filter_handle, output: output_handle, lines }
    }

    /// What `config` says about the log, to be [applied](Self::apply).
    pub(crate) fn prepare(&self, config: &Config) -> Prepared {
        let settings = settings(config);
        let filter = filter(&settings, &self.directives);
        Prepared { filter, output: output(settings.format, self.lines) }
    }

    /// Logs like this from here on.
    pub(crate) fn apply(&self, prepared: Prepared) {
        // Without a subscriber of ours there is nothing to change.
        let _ = self.filter.reload(prepared.filter);
        let _ = self.output.reload(prepared.output);
    }
}

/// Whoever logs when the process has ended may be the last to do so.
impl Drop for Log {
    fn drop(&mut self) {
        self.lines.write_through();
    }
}

/// The section. One that is faulty keeps nobody from logging: it is told when the whole
/// configuration is checked.
fn settings(config: &Config) -> LogSettings {
    config.peek_or_default("log").unwrap_or_default()
}

/// Another way to log.
pub(crate) struct Prepared {
    filter: EnvFilter,
    output: Output,
}

fn output(format: LogFormat, lines: &Lines) -> Output {
    let output = fmt::layer().with_writer(lines.clone());
    match format {
        LogFormat::Pretty if std::io::stderr().is_terminal() => output.boxed(),
        LogFormat::Pretty => output.with_ansi(false).event_format(Line).boxed(),
        LogFormat::Json => output.json().flatten_event(true).boxed(),
    }
}

fn filter(settings: &LogSettings, directives: &str) -> EnvFilter {
    let level = match is_filter(&settings.level, &()) {
        Ok(()) => settings.level.clone(),
        Err(_) => LogSettings::default().level,
    };
    let wanted = [directives, &level];
    let wanted = wanted.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",");
    EnvFilter::builder().parse_lossy(wanted)
}

/// The rule for `log.level`.
pub(crate) fn is_filter(level: &str, (): &()) -> garde::Result {
    // A bare word would be taken for a target, and everything else be silenced.
    let is_bare = |word: &&str| {
        let is_level = !word.is_empty() && word.parse::<LevelFilter>().is_ok();
        !word.contains(['=', '[']) && !is_level
    };
    let parts = || level.split(',').map(str::trim);
    let malformed = parts().find(is_bare).map(str::to_owned).or_else(|| {
        let is_whole = EnvFilter::builder().parse(level).is_ok();
        (!is_whole).then(|| level.to_owned())
    });
    match malformed {
        None => Ok(()),
        Some(word) => Err(garde::Error::new(format!(
            "{word:?} is not a log level: use error, warn, info, debug, trace or off, or a filter \
             such as info,hyper=warn"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(level: &str) -> String {
        let settings = LogSettings { level: level.to_owned(), ..LogSettings::default() };
        filter(&settings, "lapin=off").to_string()
    }

    #[test]
    fn levels_and_filters_stand_above_the_frameworks_directives() {
        assert_eq!(parse("debug"), "lapin=off,debug");
        assert_eq!(parse("info,lapin=debug"), "lapin=debug,info");
    }

    #[test]
    fn a_misspelt_level_is_an_error_and_not_silence() {
        for level in ["inof", "", "info,nonsense", "info,x=[y"] {
            let error = is_filter(level, &()).expect_err(level).to_string();
            assert!(error.contains("is not a log level: use "), "{error}");
            assert_eq!(parse(level), "lapin=off,info");
        }
    }
}
