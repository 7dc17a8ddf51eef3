//! The client's side: a peer's fault is a fault here.

use polyport_wire::ReceivedFault;

use super::Fault;

impl Fault {
    /// The fault that a peer answered with, as far as its envelope tells. The fault keeps it as
    /// its source, where the peer's request id stands.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Fault, wire::{EnvelopeStyle, ReceivedFault}};
    ///
    /// let body = br#"{"returnCode":"ERR40400","errorMessage":"no such user"}"#;
    /// let received = EnvelopeStyle::ReturnCode.read(body, Some(404)).unwrap_err();
    /// let fault = Fault::from_received(*received);
    /// assert_eq!((fault.status(), fault.message()), (404, "no such user"));
    /// assert!(fault.find_source::<ReceivedFault>().is_some());
    /// ```
    #[must_use]
    pub fn from_received(received: ReceivedFault) -> Self {
        let mut fault = Self::new(received.kind, received.reason.clone(), received.message.clone())
            .with_status(received.status);
        fault.0.code = received.code.clone().map(Into::into);
        fault.0.details.clone_from(&received.details);
        fault.caused_by(received)
    }
}
