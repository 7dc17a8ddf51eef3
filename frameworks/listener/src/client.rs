//! What requests say of the client that they came from.

use std::sync::Arc;

use http::{Extensions, Request};
use polyport_bootstrap::operation::PeerAddr;
use rustls_pki_types::CertificateDer;

use crate::{Forwarded, peer::Peer, trust::Trust};

/// The certificates that a client has shown, its own first: an extension of its requests where TLS
/// asks for them and the client has one. They have been verified.
///
/// # Examples
/// ```
/// use http::{Extensions, Request};
/// use polyport_listener::PeerCertificates;
///
/// fn who<B>(request: &Request<B>) -> Option<&[u8]> {
///     request.extensions().get::<PeerCertificates>()?.first()
/// }
/// # assert_eq!(who(&Request::new(())), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificates(pub(crate) Arc<[CertificateDer<'static>]>);

impl PeerCertificates {
    /// The client's own certificate (DER).
    #[must_use]
    pub fn first(&self) -> Option<&[u8]> {
        self.0.first().map(AsRef::as_ref)
    }

    /// All of them (DER): the client's own, then those that lead to one that is known here.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// As an extension of a request: it came by TLS that ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encrypted;

/// What the listener lets a request say of its client, without all else: for a call of one's own,
/// where the request goes elsewhere.
#[must_use]
pub fn client_of(extensions: &Extensions) -> Extensions {
    let mut own = Extensions::new();
    copy::<PeerAddr>(extensions, &mut own);
    copy::<Forwarded>(extensions, &mut own);
    copy::<Encrypted>(extensions, &mut own);
    copy::<PeerCertificates>(extensions, &mut own);
    own
}

fn copy<T: Clone + Send + Sync + 'static>(from: &Extensions, to: &mut Extensions) {
    if let Some(known) = from.get::<T>() {
        to.insert(known.clone());
    }
}

/// The client of one connection.
#[derive(Debug)]
pub(crate) struct Client {
    peer: Peer,
    /// Whether the headers of proxies mean anything at all.
    reads_forwarded: bool,
    is_trusted: bool,
    is_encrypted: bool,
    certificates: Option<PeerCertificates>,
    trust: Trust,
}

impl Client {
    pub(crate) fn new(
        peer: Peer,
        trust: &Trust,
        certificates: Option<PeerCertificates>,
        is_encrypted: bool,
    ) -> Self {
        Self {
            peer,
            reads_forwarded: !trust.is_empty(),
            is_trusted: trust.is_trusted(peer),
            is_encrypted,
            certificates,
            trust: trust.clone(),
        }
    }

    /// Lets a request say who has sent it.
    pub(crate) fn introduce<B>(&self, request: &mut Request<B>) {
        if let Peer::Tcp(address) = self.peer {
            request.extensions_mut().insert(PeerAddr(address));
        }
        if self.is_encrypted {
            request.extensions_mut().insert(Encrypted);
        }
        if let Some(certificates) = &self.certificates {
            request.extensions_mut().insert(certificates.clone());
        }
        if self.reads_forwarded {
            self.forwarded(request);
        }
    }

    fn forwarded<B>(&self, request: &mut Request<B>) {
        if !self.is_trusted {
            return crate::forwarded::remove(request.headers_mut());
        }
        let (address, origin) = crate::forwarded::read(request.headers(), &self.trust);
        if let Some(address) = address {
            request.extensions_mut().insert(PeerAddr(address));
        }
        if let Some(origin) = origin {
            request.extensions_mut().insert(origin);
        }
    }
}
