//! How a broker in this process is reached.

use std::{fmt, io, sync::Arc};

use tokio::io::DuplexStream;

use crate::pace::Pace;

/// Makes pipes to a broker in this process, by their client's ends. A cheap handle.
#[derive(Clone)]
pub(crate) struct Pipes {
    connect: Arc<dyn Fn() -> io::Result<DuplexStream> + Send + Sync>,
    pace: Pace,
}

impl Pipes {
    pub(crate) fn new(
        connect: impl Fn() -> io::Result<DuplexStream> + Send + Sync + 'static,
        pace: Pace,
    ) -> Self {
        Self { connect: Arc::new(connect), pace }
    }

    /// A new one.
    pub(crate) fn connect(&self) -> io::Result<DuplexStream> {
        (self.connect)()
    }

    /// Who keeps pace with all of them.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }
}

impl fmt::Debug for Pipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipes")
    }
}
