//! The copy of remote configuration on disk.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{tree, write};
use crate::{Error, Result};

/// What was fetched last and was good.
pub(super) struct Copy {
    pub(super) values: Json,
    fetched: SystemTime,
}

/// The file's content.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// So that nobody else's file is taken for it.
    remote: String,
    /// Seconds since 1970.
    fetched_at: u64,
    values: Json,
}

impl Copy {
    /// A copy of what was fetched just now.
    pub(super) fn new(values: Json) -> Self {
        Self { values, fetched: SystemTime::now() }
    }

    /// In whole seconds.
    pub(super) fn age(&self) -> Duration {
        let age = SystemTime::now().duration_since(self.fetched).unwrap_or_default();
        Duration::from_secs(age.as_secs())
    }

    /// The copy of the remote configuration called `name`, if there is one.
    pub(super) fn read(path: &Path, name: &str) -> Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| broken(path, "it cannot be read").caused_by(error))?,
        };
        // The parser's message is not shown: it may quote a secret.
        let content: Content = serde_json::from_slice(&bytes)
            .map_err(|_| broken(path, "it is not what was written there"))?;
        if content.remote != name {
            return Err(broken(path, &format!("it is one of \"{}\"", content.remote)));
        }
        tree::table_from_object(&content.values).map_err(|_| broken(path, "it holds no table"))?;
        let fetched = UNIX_EPOCH.checked_add(Duration::from_secs(content.fetched_at));
        let fetched = fetched.ok_or_else(|| broken(path, "its time is none"))?;
        Ok(Some(Self { values: content.values, fetched }))
    }

    /// Replaces the copy at `path`.
    pub(super) fn write(self, path: &Path, name: &str) -> Result<()> {
        let since = self.fetched.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (remote, fetched_at) = (name.to_owned(), since.as_secs());
        let content = Content { remote, fetched_at, values: self.values };
        write::json(path, &serde_json::to_value(content)?)
    }
}

fn broken(path: &Path, why: &str) -> Error {
    Error::configuration(format!("the copy cannot be used: {why}"))
        .context(path.display().to_string())
        .advise("remove it, and start when the server answers")
}
