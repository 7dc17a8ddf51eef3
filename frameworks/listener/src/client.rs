//! What requests say of the client that they came from.

use std::{
    any::{Any, TypeId},
    sync::Arc,
};

use http::{Extensions, Request};
use polyport_bootstrap::operation::{PeerAddr, Shared};
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

/// The client of one connection, as far as it is known: what its calls share.
///
/// As [`Shared`] it has its [`PeerAddr`] (none on a Unix socket), [`Encrypted`] and
/// [`PeerCertificates`]. What a trusted proxy says of the client is an extension of each request,
/// and goes before that.
#[derive(Debug)]
pub struct Client {
    peer: Option<PeerAddr>,
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
            peer: match peer {
                Peer::Tcp(address) => Some(PeerAddr(address)),
                _ => None,
            },
            reads_forwarded: !trust.is_empty(),
            is_trusted: trust.is_trusted(peer),
            is_encrypted,
            certificates,
            trust: trust.clone(),
        }
    }

    /// Lets a request say all that is known of whoever has sent it, for those who look at nothing
    /// else.
    pub fn introduce(&self, request: &mut Extensions) {
        if let (Some(peer), None) = (self.peer, request.get::<PeerAddr>()) {
            request.insert(peer);
        }
        if self.is_encrypted {
            request.insert(Encrypted);
        }
        if let Some(certificates) = &self.certificates {
            request.insert(certificates.clone());
        }
    }

    /// Takes from a request what its sender may not say of the client, and reads what it may.
    pub(crate) fn sift<B>(&self, request: &mut Request<B>) {
        if !self.reads_forwarded {
            return;
        }
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

impl Shared for Client {
    fn find(&self, wanted: TypeId) -> Option<&(dyn Any + Send + Sync)> {
        if wanted == TypeId::of::<PeerAddr>() {
            return self.peer.as_ref().map(|peer| peer as _);
        }
        if wanted == TypeId::of::<Encrypted>() {
            return self.is_encrypted.then_some(&Encrypted);
        }
        let certificates = self.certificates.as_ref()?;
        (wanted == TypeId::of::<PeerCertificates>()).then_some(certificates as _)
    }
}
