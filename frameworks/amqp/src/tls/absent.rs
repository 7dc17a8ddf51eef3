//! TLS, where it is not built in: it is never spoken, and never silently left out.

use std::io;

use polyport_bootstrap::{Error, Result};
use tokio::net::TcpStream;

use crate::{refusal::NodeError, tls::AmqpTlsSettings};

/// There is none.
#[derive(Debug)]
pub(crate) enum Tls {}

impl Tls {
    /// # Errors
    /// Returns that TLS is not built in.
    pub(crate) fn load(_: &AmqpTlsSettings, section: &str) -> Result<Self> {
        let message = format!("{section} asks for TLS (amqps), which is not built in");
        Err(Error::configuration(message).advise(
            "build with the feature `tls` of polyport-amqp (`amqp-tls` of polyport), or use \
             amqp:// to a broker on a network that you trust; polyport never sends a password in \
             clear where TLS was asked for",
        ))
    }

    pub(crate) async fn connect(&self, _: TcpStream, _: &str) -> Result<TcpStream, NodeError> {
        match *self {}
    }
}

/// Nobody speaks TLS that could fail.
pub(crate) fn is_reason_of(_: &io::Error) -> bool {
    false
}

pub(crate) fn advice(_: &io::Error, _: &str) -> Option<String> {
    None
}
