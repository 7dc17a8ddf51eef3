//! A log whose lines are written, and go nowhere.

use std::{fs::File, sync::Mutex};

use polyport::{Error, Result};

/// What is logged at info is formatted and written to /dev/null.
pub(super) fn to_nowhere() -> Result<()> {
    let file = File::options().write(true).open("/dev/null")?;
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .try_init()
        .map_err(|error| Error::other(error.to_string()))
}
