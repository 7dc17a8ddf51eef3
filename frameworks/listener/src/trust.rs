//! Whose word counts on where a request came from.

use std::{fmt, net::IpAddr, sync::Arc};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::peer::Peer;

/// A proxy, or a network of them, that says truly where requests come from: `10.0.0.0/8`,
/// `192.0.2.1`, `2001:db8::/32`, or `unix` for whoever connects by a Unix socket.
///
/// # Examples
/// ```
/// use polyport_listener::TrustedProxy;
///
/// let proxy: TrustedProxy = "10.0.0.0/8".parse()?;
/// assert_eq!(proxy.to_string(), "10.0.0.0/8");
/// assert!("10.0.0.0/33".parse::<TrustedProxy>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustedProxy(Who);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Network(IpNet),
    Unix,
}

impl std::str::FromStr for TrustedProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unix" {
            return Ok(Self(Who::Unix));
        }
        let network = text.parse::<IpNet>().ok();
        let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.map(|network| Self(Who::Network(network))).ok_or_else(|| {
            format!("{text:?} is no network: write it like 10.0.0.0/8, 192.0.2.1 or unix")
        })
    }
}

impl TryFrom<String> for TrustedProxy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Who::Network(network) => network.fmt(f),
            Who::Unix => f.write_str("unix"),
        }
    }
}

impl From<TrustedProxy> for String {
    fn from(proxy: TrustedProxy) -> Self {
        proxy.to_string()
    }
}

/// All that are trusted.
#[derive(Debug, Clone)]
pub(crate) struct Trust(Arc<[TrustedProxy]>);

impl Trust {
    pub(crate) fn new(proxies: &[TrustedProxy]) -> Self {
        Self(proxies.into())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_trusted(&self, peer: Peer) -> bool {
        match peer {
            Peer::Tcp(address) => self.trusts(address.ip()),
            Peer::Unix => self.0.iter().any(|proxy| proxy.0 == Who::Unix),
        }
    }

    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let has = |proxy: &TrustedProxy| match proxy.0 {
            Who::Network(network) => network.contains(&ip),
            Who::Unix => false,
        };
        self.0.iter().any(has)
    }
}
