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
            || self.io_error().is_some_and(tls::is_reason_of)
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

    fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Unreachable(error) => Some(error),
            Self::Handshake(error) => match error.kind() {
                ErrorKind::IOError(error) => Some(error),
                _ => None,
            },
            _ => None,
        }
    }

    /// The settings stand in `section`.
    fn report(self, node: &Node, section: &str) -> Error {
        let report = match &self {
            Self::Settings(error) => return error.clone(),
            _ => self.told(node, section),
        };
        report.caused_by(self)
    }

    fn told(&self, node: &Node, section: &str) -> Error {
        let (address, login) = (node.address(), node.login());
        let tls = self.io_error().and_then(|error| tls::advice(error, section));
        let (message, advice) = match (self.reply_code(), tls) {
            (Some(ACCESS_REFUSED), _) => (
                format!("the AMQP broker at {address} refuses {login} or its password"),
                format!("correct user and password in {section}.url"),
            ),
            (Some(NOT_ALLOWED), _) => (
                format!(
                    "the AMQP broker at {address} lets {login} into no virtual host \"{}\"",
                    node.vhost(),
                ),
                format!(
                    "correct the path of {section}.url (/ is written %2f), or create the virtual \
                     host and grant the user access to it",
                ),
            ),
            (_, Some(advice)) => {
                (format!("there is no TLS with the AMQP broker at {address}"), advice)
            }
            _ => (
                format!("the AMQP broker at {address} cannot be reached"),
                format!("start the broker, or set {section}.url to where it is"),
            ),
        };
        Error::connection(message).advise(advice)
    }
}

impl OpenError {
    /// Whether trying again is of no use, until somebody has changed something: wrong credentials,
    /// say.
    pub(crate) fn is_refusal(&self) -> bool {
        self.0.iter().any(|(_, error)| error.is_refusal())
    }

    /// The report of a start that failed for it; the settings stand in `section`.
    pub(crate) fn report(self, broker: &Broker, section: &str) -> Error {
        let mut reports: Vec<_> =
            self.0.into_iter().map(|(node, error)| error.report(&node, section)).collect();
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
