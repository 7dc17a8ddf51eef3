//! TLS to the broker, by rustls (RFC 8446, RFC 5246). lapin is given a stream that is encrypted
//! already.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod client;
mod settings;

#[cfg(not(feature = "tls"))]
pub(crate) use self::absent::{Tls, advice, is_reason_of};
#[cfg(feature = "tls")]
pub(crate) use self::client::{Tls, advice, is_reason_of};
pub use self::settings::AmqpTlsSettings;
