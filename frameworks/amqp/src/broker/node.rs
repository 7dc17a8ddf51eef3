//! One node of a broker, and what may be said of it in logs and errors.

use std::{fmt, sync::Arc, time::Duration};

use lapin::uri::{AMQPScheme, AMQPUri, SASLMechanism};
use polyport_bootstrap::{Error, Result};

#[cfg(feature = "embedded")]
use super::Pipes;
use crate::{pace::Pace, tls::Tls};

/// The longest frame that is asked for, in bytes: what RabbitMQ offers, too. lapin, which takes
/// room for 32 of them in either direction, does so once where it knows this from the start.
const FRAME_MAX: u32 = 128 * 1024;
/// The same through a pipe, of which a test may open many: lapin writes zeros to all of that room.
const FRAME_MAX_OF_PIPE: u32 = 32 * 1024;

/// A node's address with its credentials; shown, it has no password. A cheap handle.
#[derive(Clone)]
pub(crate) struct Node(Arc<Inner>);

struct Inner {
    uri: AMQPUri,
    shown: String,
    way: Way,
}

/// By what a node is reached.
#[derive(Clone)]
pub(crate) enum Way {
    Tcp,
    /// TLS over TCP.
    Tls(Arc<Tls>),
    /// Pipes within this process, each of them a connection.
    #[cfg(feature = "embedded")]
    Pipe(Pipes),
}

impl Node {
    /// Reads `url`, which stands in the configuration at `key`; `tls` is how TLS is spoken.
    ///
    /// # Errors
    /// Returns a configuration error that never shows the URL itself, since it may hold a password.
    pub(crate) fn parse(
        url: &str,
        key: &str,
        tls: impl FnOnce() -> Result<Arc<Tls>>,
    ) -> Result<Self> {
        let mut uri: AMQPUri = url.parse().map_err(|_| malformed(key))?;
        if let Some(host) = ipv6_host(url) {
            uri.authority.host = host;
        }
        if uri.authority.host.is_empty() || uri.vhost.len() > 255 {
            return Err(malformed(key));
        }
        let way = if uri.scheme == AMQPScheme::AMQPS { Way::Tls(tls()?) } else { Way::Tcp };
        let shown = shown(&uri);
        Ok(Self(Arc::new(Inner { uri, shown, way })))
    }

    /// The same, reached through pipes.
    #[cfg(feature = "embedded")]
    pub(crate) fn through(self, pipes: Pipes) -> Self {
        let Inner { uri, shown, .. } = &*self.0;
        let (uri, shown) = (uri.clone(), shown.clone());
        Self(Arc::new(Inner { uri, shown, way: Way::Pipe(pipes) }))
    }

    /// What lapin connects to, with this heartbeat unless the URL has one of its own. Nobody is lost
    /// at the other end of a pipe without being heard of: it has none.
    pub(crate) fn uri(&self, heartbeat: Duration) -> AMQPUri {
        let mut uri = self.0.uri.clone();
        let seconds = u16::try_from(heartbeat.as_secs()).unwrap_or(u16::MAX);
        let (heartbeat, frame_max) = match self.has_address() {
            true => (seconds.max(1), FRAME_MAX),
            false => (0, FRAME_MAX_OF_PIPE),
        };
        uri.query.heartbeat.get_or_insert(heartbeat);
        uri.query.frame_max.get_or_insert(frame_max);
        uri
    }

    pub(crate) fn way(&self) -> &Way {
        &self.0.way
    }

    pub(crate) fn has_address(&self) -> bool {
        match self.0.way {
            Way::Tcp | Way::Tls(_) => true,
            #[cfg(feature = "embedded")]
            Way::Pipe(_) => false,
        }
    }

    /// Who keeps pace with the connections to it.
    pub(crate) fn pace(&self) -> Pace {
        match &self.0.way {
            Way::Tcp | Way::Tls(_) => Pace::default(),
            #[cfg(feature = "embedded")]
            Way::Pipe(pipes) => pipes.pace().clone(),
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.0.uri.authority.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.uri.authority.port
    }

    /// Who logs in, for reports.
    pub(crate) fn login(&self) -> String {
        match self.0.uri.query.auth_mechanism {
            Some(SASLMechanism::External) => "the client certificate's user".to_owned(),
            _ => format!("user \"{}\"", self.0.uri.authority.userinfo.username),
        }
    }

    pub(crate) fn vhost(&self) -> &str {
        &self.0.uri.vhost
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        if self.host().contains(':') {
            format!("[{}]:{}", self.host(), self.port())
        } else {
            format!("{}:{}", self.host(), self.port())
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.shown)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.shown)
    }
}

fn shown(uri: &AMQPUri) -> String {
    let (scheme, authority) = (&uri.scheme, &uri.authority);
    let host = &authority.host;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let vhost = uri.vhost.replace('%', "%25").replace('/', "%2f");
    let user = match uri.query.auth_mechanism {
        Some(SASLMechanism::External) => String::new(),
        _ => format!("{}@", authority.userinfo.username),
    };
    format!("{scheme}://{user}{host}:{}/{vhost}", authority.port)
}

/// lapin takes an IPv6 address in a URL for `localhost`.
fn ipv6_host(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(host.strip_prefix('[')?.split_once(']')?.0.to_owned())
}

fn malformed(key: &str) -> Error {
    Error::configuration(format!("{key} is not the URL of an AMQP broker")).advise(
        "write amqp://user:password@host:5672/vhost, with special characters percent-encoded: the \
         virtual host / is %2f",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Node> {
        Node::parse(url, "amqp.url", || Err(Error::configuration("amqp.url wants TLS")))
    }

    fn parse(url: &str) -> Node {
        read(url).expect("a URL")
    }

    #[test]
    fn a_node_is_shown_without_its_password() {
        let node = parse("amqp://tom:hunter2@example.org:5673/a%2fb");
        assert_eq!(node.to_string(), "amqp://tom@example.org:5673/a%2fb");
        assert_eq!(format!("{node:?}"), node.to_string());
        assert_eq!((node.login().as_str(), node.vhost()), ("user \"tom\"", "a/b"));
    }

    #[test]
    fn who_logs_in_by_certificate_has_no_name_here() {
        let node = parse("amqp://example.org?auth_mechanism=external");
        assert_eq!(node.to_string(), "amqp://example.org:5672/%2f");
        assert_eq!(node.login(), "the client certificate's user");
    }

    #[test]
    fn what_a_url_leaves_out_is_rabbitmqs_default() {
        assert_eq!(parse("amqp://localhost").to_string(), "amqp://guest@localhost:5672/%2f");
    }

    #[test]
    fn an_ipv6_address_is_taken_as_it_is() {
        let node = parse("amqp://a:b@[::1]:5673/%2f");
        assert_eq!((node.host(), node.address().as_str()), ("::1", "[::1]:5673"));
        assert_eq!(parse("amqp://127.0.0.1:1/").address(), "127.0.0.1:1");
    }

    #[test]
    fn the_heartbeat_is_set_unless_the_url_has_one() {
        let ten = Duration::from_secs(10);
        assert_eq!(parse("amqp://a").uri(ten).query.heartbeat, Some(10));
        assert_eq!(parse("amqp://a/?heartbeat=3").uri(ten).query.heartbeat, Some(3));
        assert_eq!(parse("amqp://a").uri(Duration::from_millis(1)).query.heartbeat, Some(1));
        assert_eq!(parse("amqp://a").uri(ten).query.frame_max, Some(FRAME_MAX));
        assert_eq!(parse("amqp://a/?frame_max=4096").uri(ten).query.frame_max, Some(4096));
    }

    #[test]
    fn errors_never_show_the_url() {
        for url in ["amqps://u:hunter2@h", "http://u:hunter2@h", "hunter2", "amqp:hunter2", ""] {
            let error = read(url).expect_err(url);
            let report = format!("{error:?}");
            assert!(report.contains("amqp.url") && !report.contains("hunter2"), "{report}");
        }
    }
}
