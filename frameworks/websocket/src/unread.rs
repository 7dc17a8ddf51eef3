//! What a client of a test has sent and its connection has not read: to whoever waits until all is
//! settled that is a message on its way.
//!
//! Both ends are in one process, and find each other by the key of the handshake (RFC 6455, section
//! 4.1), over sockets as in memory. Without the feature `testing` all of this is nothing.

use http::HeaderMap;
use polyport_bootstrap::framework::Mark;

#[cfg(feature = "testing")]
pub(crate) use self::testing::Unread;

/// The clients of a test that are about to connect.
#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    #[cfg(feature = "testing")]
    expected: std::sync::Mutex<Vec<(http::HeaderValue, Unread)>>,
}

/// What one connection has still to read; nothing, once this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    #[cfg(feature = "testing")]
    unread: Option<Unread>,
}

impl Newcomers {
    /// Lets the client in that says this in its handshake.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Arrivals {
        #[cfg(feature = "testing")]
        return Arrivals { unread: self.begin(headers) };
        #[cfg(not(feature = "testing"))]
        {
            let _ = headers;
            Arrivals::default()
        }
    }
}

impl Arrivals {
    /// A text or a binary message was read: the mark of it, to be dropped when it is handled.
    pub(crate) fn next(&self) -> Mark {
        #[cfg(feature = "testing")]
        if let Some(unread) = &self.unread {
            return unread.next();
        }
        Mark::default()
    }
}

#[cfg(feature = "testing")]
mod testing {
    use std::{
        collections::VecDeque,
        sync::{Arc, Mutex, MutexGuard, PoisonError},
    };

    use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_KEY};
    use polyport_bootstrap::framework::{Mark, Witness};

    use super::{Arrivals, Newcomers};
    use crate::told;

    /// What a client has sent; it is noted while the connection lasts.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Unread(Arc<Mutex<Option<Sent>>>);

    #[derive(Debug)]
    struct Sent {
        witness: Witness,
        marks: VecDeque<Mark>,
    }

    /// A client that is expected until this is dropped.
    #[derive(Debug)]
    pub(crate) struct Expected<'a> {
        newcomers: &'a Newcomers,
        key: HeaderValue,
    }

    impl Newcomers {
        /// Expects a client that says this in its handshake.
        pub(crate) fn expect(&self, headers: &HeaderMap, unread: &Unread) -> Option<Expected<'_>> {
            let key = headers.get(SEC_WEBSOCKET_KEY)?.clone();
            self.expected().push((key.clone(), unread.clone()));
            Some(Expected { newcomers: self, key })
        }

        pub(super) fn begin(&self, headers: &HeaderMap) -> Option<Unread> {
            let key = headers.get(SEC_WEBSOCKET_KEY)?;
            let expected = self.expected();
            let unread = expected.iter().find(|(expected, _)| expected == key)?.1.clone();
            drop(expected);
            *unread.sent() = Some(Sent { witness: Witness::here(), marks: VecDeque::new() });
            Some(unread)
        }

        fn expected(&self) -> MutexGuard<'_, Vec<(HeaderValue, Unread)>> {
            self.expected.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Drop for Expected<'_> {
        fn drop(&mut self) {
            self.newcomers.expected().retain(|(key, _)| *key != self.key);
        }
    }

    impl Unread {
        /// Notes a message before it is sent.
        pub(crate) fn add(&self, message: &[u8]) {
            if let Some(sent) = &mut *self.sent() {
                sent.marks.push_back(told::unread(&sent.witness, message));
            }
        }

        pub(super) fn next(&self) -> Mark {
            self.sent().as_mut().and_then(|sent| sent.marks.pop_front()).unwrap_or_default()
        }

        fn sent(&self) -> MutexGuard<'_, Option<Sent>> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// Nobody reads any more.
    impl Drop for Arrivals {
        fn drop(&mut self) {
            let sent = self.unread.as_ref().and_then(|unread| unread.sent().take());
            drop(sent);
        }
    }
}
