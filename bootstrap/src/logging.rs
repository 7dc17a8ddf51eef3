//! The process's log, on tracing.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::LevelFilter, fmt, layer::Layered, layer::SubscriberExt,
    reload, util::SubscriberInitExt,
};

use crate::{
    Config, Error, Result,
    lifecycle::{LogFormat, LogSettings},
};

type Filter = reload::Layer<EnvFilter, Registry>;
type Filtered = Layered<Filter, Registry>;
type Output = Box<dyn Layer<Filtered> + Send + Sync>;

/// The log of a process that a bootstrap owns; the section `log` decides about it, again when the
/// configuration is complete.
pub(crate) struct Log {
    /// Those of the frameworks; what the section says stands above them.
    directives: String,
    filter: reload::Handle<EnvFilter, Registry>,
    output: reload::Handle<Output, Filtered>,
}

impl Log {
    /// Sets up the log, unless the process has one already.
    pub(crate) fn set_up(config: &Config, directives: &[&str]) -> Result<Self> {
        let settings: LogSettings = config.peek_or_default("log")?;
        let directives = directives.join(",");
        let (filter, filter_handle) = reload::Layer::new(filter(&settings, &directives)?);
        let (output, output_handle) = reload::Layer::new(output(settings.format));
        // Somebody else's log (a test harness's, an embedding program's) stays as it is.
        let _ = tracing_subscriber::registry().with(filter).with(output).try_init();
        Ok(Self { directives, filter: filter_handle, output: output_handle })
    }

    /// Applies what before-hooks have made of the section.
    pub(crate) fn apply(&self, config: &Config) -> Result<()> {
        let settings: LogSettings = config.get_or_default("log")?;
        // Without a subscriber of ours there is nothing to change.
        let _ = self.filter.reload(filter(&settings, &self.directives)?);
        let _ = self.output.reload(output(settings.format));
        Ok(())
    }
}

fn output(format: LogFormat) -> Output {
    let output = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Pretty => output.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => output.json().flatten_event(true).boxed(),
    }
}

fn filter(settings: &LogSettings, directives: &str) -> Result<EnvFilter> {
    let malformed = |word: &str| {
        Error::configuration(format!("{word:?} is not a log level"))
            .context("key log.level")
            .advise(
                "use error, warn, info, debug, trace or off, or a filter such as info,hyper=warn",
            )
    };
    // A bare word would be taken for a target, and everything else be silenced.
    let is_bare = |word: &&str| {
        let is_level = !word.is_empty() && word.parse::<LevelFilter>().is_ok();
        !word.contains(['=', '[']) && !is_level
    };
    if let Some(word) = settings.level.split(',').map(str::trim).find(is_bare) {
        return Err(malformed(word));
    }
    let wanted = [directives, &settings.level];
    let wanted = wanted.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",");
    EnvFilter::builder().parse(wanted).map_err(|_| malformed(&settings.level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(level: &str) -> Result<String, String> {
        let settings = LogSettings { level: level.to_owned(), ..LogSettings::default() };
        match filter(&settings, "lapin=off") {
            Ok(filter) => Ok(filter.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn levels_and_filters_stand_above_the_frameworks_directives() {
        assert_eq!(parse("debug").as_deref(), Ok("lapin=off,debug"));
        assert_eq!(parse("info,lapin=debug").as_deref(), Ok("lapin=debug,info"));
    }

    #[test]
    fn a_misspelt_level_is_an_error_and_not_silence() {
        for level in ["inof", "", "info,nonsense", "info,x=[y"] {
            let error = parse(level).expect_err(level);
            assert!(error.starts_with("key log.level: "), "{error}");
        }
    }
}
