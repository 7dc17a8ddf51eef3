//! Where the broker is, and what may be said of it in logs and errors.

use std::{fmt, time::Duration};

use lapin::uri::{AMQPScheme, AMQPUri};
use polyport_bootstrap::{Error, Result};

/// A broker's address with its credentials; shown, it has no password.
#[derive(Clone)]
pub(crate) struct Broker {
    uri: AMQPUri,
    shown: String,
}

impl Broker {
    /// Reads `url`, which stands in the configuration at `key`.
    ///
    /// # Errors
    /// Returns a configuration error that never shows the URL itself, since it may hold a password.
    pub(crate) fn parse(url: &str, key: &str) -> Result<Self> {
        let mut uri: AMQPUri = url.parse().map_err(|_| malformed(key))?;
        if uri.scheme == AMQPScheme::AMQPS {
            return Err(without_tls(key));
        }
        if let Some(host) = ipv6_host(url) {
            uri.authority.host = host;
        }
        if uri.authority.host.is_empty() || uri.vhost.len() > 255 {
            return Err(malformed(key));
        }
        let shown = shown(&uri);
        Ok(Self { uri, shown })
    }

    /// What lapin connects to, with this heartbeat unless the URL has one of its own.
    pub(crate) fn uri(&self, heartbeat: Duration) -> AMQPUri {
        let mut uri = self.uri.clone();
        let seconds = u16::try_from(heartbeat.as_secs()).unwrap_or(u16::MAX);
        uri.query.heartbeat.get_or_insert(seconds.max(1));
        uri
    }

    pub(crate) fn host(&self) -> &str {
        &self.uri.authority.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.uri.authority.port
    }

    pub(crate) fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    pub(crate) fn vhost(&self) -> &str {
        &self.uri.vhost
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

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn shown(uri: &AMQPUri) -> String {
    let host = &uri.authority.host;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let vhost = uri.vhost.replace('%', "%25").replace('/', "%2f");
    format!("amqp://{}@{host}:{}/{vhost}", uri.authority.userinfo.username, uri.authority.port)
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

fn without_tls(key: &str) -> Error {
    Error::configuration(format!("{key} asks for TLS (amqps), which is not built in")).advise(
        "use amqp:// to a broker on a network that you trust, or through a tunnel; polyport never \
         sends a password in clear where TLS was asked for",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Broker {
        Broker::parse(url, "amqp.url").expect("a URL")
    }

    #[test]
    fn a_broker_is_shown_without_its_password() {
        let broker = parse("amqp://tom:hunter2@example.org:5673/a%2fb");
        assert_eq!(broker.to_string(), "amqp://tom@example.org:5673/a%2fb");
        assert_eq!(format!("{broker:?}"), broker.to_string());
        assert_eq!((broker.user(), broker.vhost()), ("tom", "a/b"));
    }

    #[test]
    fn what_a_url_leaves_out_is_rabbitmqs_default() {
        assert_eq!(parse("amqp://localhost").to_string(), "amqp://guest@localhost:5672/%2f");
    }

    #[test]
    fn an_ipv6_address_is_taken_as_it_is() {
        let broker = parse("amqp://a:b@[::1]:5673/%2f");
        assert_eq!((broker.host(), broker.address().as_str()), ("::1", "[::1]:5673"));
        assert_eq!(parse("amqp://127.0.0.1:1/").address(), "127.0.0.1:1");
    }

    #[test]
    fn the_heartbeat_is_set_unless_the_url_has_one() {
        let ten = Duration::from_secs(10);
        assert_eq!(parse("amqp://a").uri(ten).query.heartbeat, Some(10));
        assert_eq!(parse("amqp://a/?heartbeat=3").uri(ten).query.heartbeat, Some(3));
        assert_eq!(parse("amqp://a").uri(Duration::from_millis(1)).query.heartbeat, Some(1));
    }

    #[test]
    fn errors_never_show_the_url() {
        for url in ["amqps://u:hunter2@h", "http://u:hunter2@h", "hunter2", "amqp:hunter2", ""] {
            let error = Broker::parse(url, "amqp.url").expect_err(url);
            let report = format!("{error:?}");
            assert!(report.contains("amqp.url") && !report.contains("hunter2"), "{report}");
        }
    }
}
