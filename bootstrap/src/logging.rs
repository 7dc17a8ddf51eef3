//! The process's log, on tracing.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    Config, Error, Result,
    lifecycle::{LogFormat, LogSettings},
};

/// Sets up the process's log from the section `log`, unless the process has one already.
/// `directives` are those of the frameworks; what the section says stands above them.
///
/// # Errors
/// Returns a configuration error where the section is malformed.
pub(crate) fn init(config: &Config, directives: &[&str]) -> Result<()> {
    let settings: LogSettings = config.get_or_default("log")?;
    let filter = directives.iter().copied().chain([settings.level.as_str()]);
    let filter = filter.filter(|directive| !directive.is_empty()).collect::<Vec<_>>().join(",");
    let filter = EnvFilter::builder().parse(&filter).map_err(|error| {
        Error::configuration(format!("\"{}\" is not a log level", settings.level))
            .context("key log.level")
            .caused_by(error)
            .advise("use error, warn, info, debug or trace, or a filter such as info,hyper=warn")
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    let output =
        fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // Somebody else's log (a test harness's, an embedding program's) stays as it is.
    let _ = match settings.format {
        LogFormat::Pretty => registry.with(output).try_init(),
        LogFormat::Json => registry.with(output.json().flatten_event(true)).try_init(),
    };
    Ok(())
}
