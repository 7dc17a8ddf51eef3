//! What the broker does not take: in words that name both sides.

use std::fmt;

use lapin::{ErrorKind, protocol::AMQPErrorKind};
use polyport_bootstrap::Error;

use super::DeclareError;
use crate::{
    broker::Broker,
    connection::{LinkError, describe},
};

/// The broker's codes for what is not there, and for what another connection holds (AMQP 0-9-1,
/// "Constants").
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;

/// What could not be declared, and why.
#[derive(Debug, Clone)]
pub(crate) struct Undeclared {
    pub(super) what: String,
    pub(super) error: LinkError,
    /// Whether it was only looked for.
    pub(super) passive: bool,
}

impl DeclareError {
    /// Whether trying again is of no use, until somebody has changed something.
    pub(crate) fn is_refusal(&self) -> bool {
        self.0.iter().any(Undeclared::is_refusal)
    }

    /// Whether the broker was asked for everything, and has refused these alone.
    pub(crate) fn is_only_refused(&self) -> bool {
        self.0.iter().all(Undeclared::is_refusal)
    }

    /// The report of a start that failed for it.
    pub(crate) fn report(self, broker: &Broker) -> Error {
        let address = broker.address();
        let told = self.0.into_iter().map(|undeclared| undeclared.report(&address)).collect();
        let headline = format!("the AMQP broker at {address} does not have what is declared");
        match Error::all(headline.clone(), told) {
            Ok(()) => Error::wiring(headline),
            Err(error) => error,
        }
    }
}

impl std::error::Error for DeclareError {}

/// In one line, for the log.
impl fmt::Display for DeclareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Undeclared { what, error, .. }) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{what}: {error}")?;
        }
        Ok(())
    }
}

impl Undeclared {
    /// Whether the broker has refused this alone: the connection is as good as before.
    pub(super) fn is_refusal(&self) -> bool {
        let soft = |error: &lapin::Error| match error.kind() {
            ErrorKind::ProtocolError(error) => matches!(error.kind(), AMQPErrorKind::Soft(_)),
            _ => false,
        };
        matches!(&self.error, LinkError::Lapin(error) if soft(error))
    }

    fn code(&self) -> Option<u16> {
        match &self.error {
            LinkError::Lapin(error) => match error.kind() {
                ErrorKind::ProtocolError(error) => Some(error.get_id()),
                _ => None,
            },
            LinkError::Silent(_) => None,
        }
    }

    fn report(self, address: &str) -> Error {
        let (what, code) = (&self.what, self.code());
        if let Some(mismatch) = self.mismatch() {
            return Error::wiring(format!(
                "the AMQP broker at {address} has it otherwise: we declare the {what}; {mismatch}"
            ))
            .advise("delete it there, declare it as it is there, or give it a new name");
        }
        let report = match (self.passive, code) {
            (true, Some(NOT_FOUND)) => {
                Error::wiring(format!("the AMQP broker at {address} has no {what}")).advise(
                    "create it there, or let polyport do so, by topology = \"declare\" in the \
                     section of the framework",
                )
            }
            (_, Some(RESOURCE_LOCKED)) => Error::wiring(format!(
                "the {what} belongs to another connection with the AMQP broker at {address}"
            ))
            .advise("an exclusive queue has one owner: give each process a name of its own for it"),
            (_, Some(_)) => {
                Error::wiring(format!("the AMQP broker at {address} refuses the {what}")).advise(
                    "correct the declaration; a binding needs its exchange, and the user the \
                     permission to declare",
                )
            }
            (_, None) => Error::connection(format!(
                "the AMQP broker at {address} gives no answer about the {what}"
            ))
            .advise("look into the broker's log, and start again"),
        };
        report.caused_by(self.error)
    }

    fn mismatch(&self) -> Option<Mismatch> {
        match &self.error {
            LinkError::Lapin(error) => Mismatch::read(&describe(error)),
            LinkError::Silent(_) => None,
        }
    }
}

/// The first difference between what we declare and what the broker has; it names no others.
#[derive(Debug, PartialEq, Eq)]
struct Mismatch {
    argument: String,
    ours: Option<String>,
    theirs: Option<String>,
}

impl Mismatch {
    /// Reads RabbitMQ's `inequivalent arg 'x' for …: received 'a' but current is 'b'`; such a text
    /// may be cut after 255 bytes.
    fn read(text: &str) -> Option<Self> {
        let (_, text) = text.split_once("inequivalent arg '")?;
        let (argument, text) = text.split_once('\'')?;
        let (_, values) = text.rsplit_once(": received ")?;
        let (ours, theirs) = values.split_once(" but current is ")?;
        Some(Self { argument: argument.to_owned(), ours: value(ours), theirs: value(theirs) })
    }
}

/// `none`, `'true'` or `the value '5' of type 'long'`.
fn value(text: &str) -> Option<String> {
    if text == "none" {
        return None;
    }
    let text = text.strip_prefix("the value ").unwrap_or(text);
    let text = text.rsplit_once(" of type ").map_or(text, |(value, _)| value);
    Some(text.trim_matches('\'').to_owned())
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| match value {
            Some(value) => format!("is {value}"),
            None => "is not set".to_owned(),
        };
        let Self { argument, ours, theirs } = self;
        write!(f, "{argument} {} there and {} here", shown(theirs), shown(ours))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_a_broker_says_is_read_or_left_as_it_is(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("inequivalent arg '".to_owned()),
                    Just("': received ".to_owned()),
                    Just(" but current is ".to_owned()),
                    Just("the value '5' of type 'long'".to_owned()),
                    "\\PC{0,9}",
                ],
                0..9,
            ),
        ) {
            let text = parts.concat();
            let told = sentence(&text);
            prop_assert!(told.is_none() || text.contains(" but current is "));
        }
    }

    fn sentence(text: &str) -> Option<String> {
        Mismatch::read(text).map(|mismatch| mismatch.to_string())
    }

    #[test]
    fn the_brokers_words_become_a_sentence() {
        for (text, expected) in [
            (
                "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': \
                 received the value '5' of type 'signedint' but current is none",
                "x-max-length is not set there and is 5 here",
            ),
            (
                "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q: received ' in \
                 vhost '/': received none but current is the value 'quorum' of type 'longstr'",
                "x-queue-type is quorum there and is not set here",
            ),
            (
                "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': \
                 received 'true' but current is 'false'",
                "durable is false there and is true here",
            ),
        ] {
            assert_eq!(sentence(text).as_deref(), Some(expected));
        }
    }

    #[test]
    fn other_words_and_words_that_were_cut_stay_as_they_are() {
        for text in [
            "",
            "NOT_FOUND - no queue 'q' in vhost '/'",
            "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q",
            "PRECONDITION_FAILED - inequivalent arg 'x' for queue 'q' in vhost '/': received 'a' b",
        ] {
            assert_eq!(sentence(text), None, "{text}");
        }
    }
}
