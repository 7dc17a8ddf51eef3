//! Where the broker is: one node, or several of a cluster.

mod node;
#[cfg(feature = "embedded")]
mod pipes;
mod urls;

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

use polyport_bootstrap::{Error, Result};

pub(crate) use self::node::{Node, Way};
#[cfg(feature = "embedded")]
pub(crate) use self::pipes::Pipes;
pub use self::urls::BrokerUrls;
use crate::{
    pace::Pace,
    tls::{AmqpTlsSettings, Tls},
};

/// A broker by its nodes, of which there is at least one: whoever connects takes the first of them
/// that lets him in. A cheap handle; shown, it has no passwords.
#[derive(Debug, Clone)]
pub(crate) struct Broker(Arc<[Node]>);

impl Broker {
    /// The broker at one URL, which stands in the configuration at `key`.
    ///
    /// # Errors
    /// Returns a configuration error that never shows the URL itself, since it may hold a password.
    #[cfg(any(feature = "embedded", feature = "testing"))]
    pub(crate) fn parse(url: &str, key: &str) -> Result<Self> {
        let tls = || Tls::load(&AmqpTlsSettings::default(), key).map(Arc::new);
        Ok(Self([Node::parse(url, key, tls)?].into()))
    }

    /// The broker in this process that is reached through pipes; `url` says who logs in, and to
    /// which virtual host.
    ///
    /// # Errors
    /// Returns an error where that is no URL of a broker.
    #[cfg(feature = "embedded")]
    pub(crate) fn in_process(url: &str, pipes: Pipes) -> Result<Self> {
        let key = "the in-memory broker's URL";
        let node = Node::parse(url, key, || Err(Error::configuration("a pipe has no TLS")))?;
        Ok(Self([node.through(pipes)].into()))
    }

    /// The broker at these URLs, as they stand in `section`, with its settings for TLS.
    ///
    /// # Errors
    /// Returns a configuration error that names the key, and never shows a URL.
    pub(crate) fn of(urls: &BrokerUrls, tls: &AmqpTlsSettings, section: &str) -> Result<Self> {
        let key = format!("{section}.url");
        let mut loaded = None;
        let mut load = || match &loaded {
            Some(tls) => Ok(Arc::clone(tls)),
            None => Tls::load(tls, section).map(|tls| Arc::clone(loaded.insert(Arc::new(tls)))),
        };
        let nodes = urls.iter().map(|url| Node::parse(url, &key, &mut load));
        let nodes = nodes.collect::<Result<Arc<[_]>>>()?;
        if nodes.is_empty() {
            return Err(Error::configuration(format!("{key} is an empty list"))
                .advise("name at least one node, or leave it out"));
        }
        if loaded.is_none() && *tls != AmqpTlsSettings::default() {
            return Err(in_clear(&key, section));
        }
        Ok(Self(nodes))
    }

    /// All nodes, from a random one on: many that have lost one node do not all run to the next.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = &Node> {
        let count = self.0.len();
        let first = usize::try_from(random() % count.max(1) as u64).unwrap_or_default();
        self.0.iter().cycle().skip(first).take(count)
    }

    /// Whether it has an address: pipes within this process have none.
    pub(crate) fn has_address(&self) -> bool {
        self.0.iter().any(Node::has_address)
    }

    /// Who keeps pace with the connections to it.
    pub(crate) fn pace(&self) -> Pace {
        self.0.first().map(Node::pace).unwrap_or_default()
    }

    /// How many nodes there are, at least 1.
    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX).max(1)
    }

    /// `host:port` of each node.
    pub(crate) fn address(&self) -> String {
        joined(self.0.iter().map(Node::address))
    }
}

/// The URLs.
impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(self.0.iter().map(Node::to_string)))
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// The standard library seeds its hashers at random.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn in_clear(key: &str, section: &str) -> Error {
    Error::configuration(format!("{section}.tls is set, and {key} does not ask for TLS")).advise(
        format!(
            "write amqps:// in {key} (port 5671 where none is named), or take {section}.tls away"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn of(urls: &[&str]) -> Result<Broker> {
        let urls = urls.iter().copied().collect();
        Broker::of(&urls, &AmqpTlsSettings::default(), "amqp")
    }

    #[test]
    fn every_node_is_tried_once_from_a_random_one_on() {
        let broker = of(&["amqp://a", "amqp://b", "amqp://c"]).expect("three nodes");
        let mut first = HashSet::new();
        for _ in 0..200 {
            let order: Vec<_> = broker.in_turn().map(Node::host).collect();
            assert_eq!(order.iter().collect::<HashSet<_>>().len(), 3, "{order:?}");
            first.insert(order[0].to_owned());
        }
        assert_eq!(first.len(), 3);
        assert_eq!(broker.address(), "a:5672, b:5672, c:5672");
    }

    #[test]
    fn an_empty_list_is_refused() {
        assert!(of(&[]).expect_err("no node").to_string().contains("amqp.url is an empty list"));
    }

    #[test]
    fn settings_for_tls_that_no_url_uses_are_refused() {
        let tls = AmqpTlsSettings { ca: Some("ca.pem".to_owned()), ..Default::default() };
        let error = Broker::of(&"amqp://a".into(), &tls, "amqp").expect_err("in clear");
        assert!(error.to_string().contains("amqp.tls is set"), "{error}");
    }
}
