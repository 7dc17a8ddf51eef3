//! How much one peer, and all of them together, may ask of a listener.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

/// The section `limits` of a framework that listens: `[http.limits]`. In all of them 0 (`0s`) is no
/// limit, unless it says otherwise.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use polyport_listener::Limits;
///
/// let limits = Limits { idle_timeout: Duration::from_secs(10), ..Limits::default() };
/// assert_eq!(limits.header_size, 16 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct Limits {
    /// How many connections may be open at once, WebSockets included. Further clients wait in the
    /// system's queue until one ends. Keeps a flood of connections from taking all memory and
    /// descriptors. Default 25000.
    pub connections: usize,
    /// How many connections one peer may have open at once (one IPv4 address, one IPv6 network of
    /// 64 bits); a further one is closed at once. Proxies that are trusted, and Unix sockets, are
    /// not counted. Keeps one peer from taking all places. Default 0, since behind a proxy that is
    /// not named as trusted everybody is one peer: set it where clients connect directly.
    pub connections_per_peer: usize,
    /// How long the head of a request may be, in bytes; a longer one is answered with 431. Stops
    /// heads that fill the memory. At least 1024, default 16 KiB.
    #[garde(range(min = 1024, max = 16 * 1024 * 1024))]
    pub header_size: usize,
    /// How many headers a request may have; more are answered with 431. Stops heads that are cheap
    /// to send and costly to keep. Default 100.
    #[garde(range(min = 1, max = 10_000))]
    pub header_count: usize,
    /// How long the head of a request may take from its first byte, and the first byte of a new
    /// connection; then the connection is closed. Never unlimited. Stops clients that send heads
    /// byte by byte, or nothing ("slowloris"). Default 10 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(leaves_time))]
    pub header_timeout: Duration,
    /// How long a connection may be without a call; then HTTP/1 is closed, and HTTP/2 told so
    /// (GOAWAY). Frees what idle clients hold. Default 75 s.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How many bytes per second the body of a request has to bring while it is waited for, after
    /// the grace; a slower one is answered with 408, and the connection closed. Stops bodies that
    /// are sent byte by byte. gRPC's streams are exempt. Default 240.
    pub body_rate: u32,
    /// For how long a body may stand still before its rate counts. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub body_grace: Duration,
    /// For how long a peer may leave what is written to it unread, all of it; then it is cut. Stops
    /// clients that ask for much and read nothing. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// What holds for HTTP/2 only.
    #[garde(dive)]
    pub http2: Http2Limits,
}

/// The section `limits.http2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct Http2Limits {
    /// How many streams, that is calls, one connection may have open at once; a further one is
    /// refused (REFUSED_STREAM), and clients that keep to the protocol wait. Default 200.
    #[garde(range(min = 1))]
    pub streams: u32,
    /// How many streams a client may have reset before they were looked at; one more ends the
    /// connection with GOAWAY (ENHANCE_YOUR_CALM). Stops "rapid reset" (CVE-2023-44487). Default
    /// 20; 0 allows none.
    pub pending_resets: usize,
    /// How many PING, SETTINGS, RST_STREAM and empty DATA frames a connection may bring within a
    /// second; with more it is closed. Stops floods of frames that cost their sender nothing and
    /// have to be answered, or looked at (CVE-2019-9512, 9515, 9518). Default 1000.
    pub control_frames: u32,
    /// After what silence the peer is sent a PING, so that dead ones are noticed. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// How long it may take to answer that, before the connection is cut. Default 20 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(leaves_time))]
    pub keep_alive_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 25_000,
            connections_per_peer: 0,
            header_size: 16 * 1024,
            header_count: 100,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_rate: 240,
            body_grace: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
            http2: Http2Limits::default(),
        }
    }
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            streams: 200,
            pending_resets: 20,
            control_frames: 1_000,
            keep_alive: Duration::from_secs(60),
            keep_alive_timeout: Duration::from_secs(20),
        }
    }
}

/// None where there is no limit.
pub(crate) fn unless_zero(limit: Duration) -> Option<Duration> {
    (!limit.is_zero()).then_some(limit)
}

fn leaves_time(limit: &Duration, _: &()) -> garde::Result {
    match limit.is_zero() {
        true => Err(garde::Error::new("nobody can do it in no time at all")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_senseless_limit_is_named() {
        let http2 = Http2Limits {
            streams: 0,
            keep_alive_timeout: Duration::ZERO,
            ..Http2Limits::default()
        };
        let limits = Limits {
            header_size: 0,
            header_count: 0,
            header_timeout: Duration::ZERO,
            http2,
            ..Limits::default()
        };
        let report = limits.validate().expect_err("five faults").to_string();
        for key in [
            "header_size",
            "header_count",
            "header_timeout",
            "http2.streams",
            "http2.keep_alive_timeout",
        ] {
            assert!(report.contains(&format!("{key}: ")), "{report}");
        }
        assert!(Limits::default().validate().is_ok());
    }
}
