//! Why there is no connection.

use std::{fmt, io, time::Duration};

use lapin::ErrorKind;
use polyport_bootstrap::Error;

use crate::{
    broker::{Broker, Node},
    connection::describe,
    tls,
};

/// Why one node let nobody in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error(transparent)]
    Unreachable(#[from] io::Error),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("{}", describe(.0))]
    Handshake(lapin::Error),
    /// Files that TLS needs have changed, and are of no use any more.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "TLS is not built in"))]
    #[error("{0}")]
    Settings(Error),
}

/// lapin's own words for it say the same again, and so are no source.
impl From<lapin::Error> for NodeError {
    fn from(error: lapin::Error) -> Self {
        Self::Handshake(error)
    }
}

/// Why no node of a broker let us in: each with its reason, in the order in which they were tried.
#[derive(Debug)]
pub(crate) struct OpenError(pub(crate) Vec<(Node, NodeError)>);

/// AMQP 0-9-1, "Constants".
const ACCESS_REFUSED: u16 = 403;
const NOT_ALLOWED: u16 = 530;

impl NodeError {
    /// Whether trying again is of no use, until somebody has changed something.
    fn is_refusal(&self) -> bool {
        matches!(self.reply_code(), Some(ACCESS_REFUSED | NOT_ALLOWED))
            || matches!(self, Self::Settings(_))
            || self.tls_advice().is_some()
    }

    /// The broker's reply code, where it has spoken.
    fn reply_code(&self) -> Option<u16> {
        match self {
            Self::Handshake(error) => match error.kind() {
                ErrorKind::ProtocolError(error) => Some(error.get_id()),
                _ => None,
            },
            _ => None,
        }
    }

    fn tls_advice(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable(error) => tls::advice(error),
            Self::Handshake(error) => match error.kind() {
                ErrorKind::IOError(error) => tls::advice(error),
                _ => None,
            },
            _ => None,
        }
    }

    /// `key` is where the URL stands.
    fn report(self, node: &Node, key: &str) -> Error {
        let address = node.address();
        let report = match (self.reply_code(), self.tls_advice()) {
            (Some(ACCESS_REFUSED), _) => Error::connection(format!(
                "the AMQP broker at {address} refuses {} or its password",
                node.login(),
            ))
            .advise(format!("correct user and password in {key}")),
            (Some(NOT_ALLOWED), _) => Error::connection(format!(
                "the AMQP broker at {address} lets {} into no virtual host \"{}\"",
                node.login(),
                node.vhost(),
            ))
            .advise(format!(
                "correct the path of {key} (/ is written %2f), or create the virtual host and \
                 grant the user access to it",
            )),
            (_, Some(advice)) => {
                Error::connection(format!("there is no TLS with the AMQP broker at {address}"))
                    .advise(format!("beside {key}: {advice}"))
            }
            _ => Error::connection(format!("the AMQP broker at {address} cannot be reached"))
                .advise(format!("start the broker, or set {key} to where it is")),
        };
        match self {
            Self::Settings(error) => error,
            cause => report.caused_by(cause),
        }
    }
}

impl OpenError {
    /// Whether trying again is of no use, until somebody has changed something: wrong credentials,
    /// say.
    pub(crate) fn is_refusal(&self) -> bool {
        self.0.iter().any(|(_, error)| error.is_refusal())
    }

    /// The report of a start that failed for it; `key` is where the URLs stand.
    pub(crate) fn report(self, broker: &Broker, key: &str) -> Error {
        let mut reports: Vec<_> =
            self.0.into_iter().map(|(node, error)| error.report(&node, key)).collect();
        match (reports.pop(), reports.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                let address = broker.address();
                Error::connection(format!("no node of the AMQP broker can be used ({address})"))
                    .also(reports.into_iter().chain(last))
            }
        }
    }
}

/// Each node with its reason; of an only one the reason alone.
impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(_, error)] = &*self.0 {
            return error.fmt(f);
        }
        for (place, (node, error)) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {error}", node.address())?;
        }
        Ok(())
    }
}

impl std::error::Error for OpenError {}
