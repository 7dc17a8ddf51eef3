//! Logs whose lines are written, and go nowhere.

use std::{fs::File, sync::Mutex};

use polyport::{Error, Result};

/// What is logged at info is formatted by tracing-subscriber and written to /dev/null.
pub(super) fn to_nowhere() -> Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(Mutex::new(nowhere()?))
        .try_init()
        .map_err(|error| Error::other(error.to_string()))
}

/// The log that polyport sets up itself goes to standard error, which is /dev/null from here on.
pub(super) fn own_to_nowhere() -> Result<()> {
    Ok(rustix::stdio::dup2_stderr(nowhere()?)?)
}

fn nowhere() -> Result<File> {
    Ok(File::options().write(true).open("/dev/null")?)
}
