//! Who is at the other end of a connection.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    /// Has no address worth telling.
    Unix,
}

impl Peer {
    /// What counts as one peer; none for those of this machine's own sockets.
    pub(crate) fn party(self) -> Option<IpAddr> {
        let Self::Tcp(address) = self else { return None };
        Some(match address.ip().to_canonical() {
            // Whoever has one address has the whole network (RFC 6177).
            IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) & (u128::MAX << 64)).into(),
            ip => ip,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("a client of the Unix socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(address: &str) -> Option<IpAddr> {
        Peer::Tcp(address.parse().expect("an address")).party()
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_are_one_peer() {
        assert_eq!(party("[2001:db8::1]:1"), party("[2001:db8::ffff:2]:2"));
        assert_ne!(party("[2001:db8::1]:1"), party("[2001:db8:0:1::1]:1"));
        assert_ne!(party("192.0.2.1:1"), party("192.0.2.2:1"));
        assert_eq!(party("[::ffff:192.0.2.1]:1"), party("192.0.2.1:1"));
        assert_eq!(Peer::Unix.party(), None);
    }
}
