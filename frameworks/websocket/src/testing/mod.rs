//! The client for tests of an application: `app.websocket("/ws").await`.

mod client;
mod connect;
mod expect;
mod fault;
mod reading;
mod refusal;

use polyport_bootstrap::{DEFAULT_NAME, testing::TestApp};

pub use self::{
    client::WebSocketClient, connect::WebSocketConnect, fault::frame_fault, reading::Received,
    refusal::WebSocketRefusal,
};
use crate::WebSocketApp;

/// Connects clients to an application under test, whether it listens on sockets or in memory.
pub trait WebSocketTest {
    /// A client of the framework named `default`: await it for the connection. An empty path, or
    /// one that is a query only (`?room=1`), is the framework's own.
    ///
    /// # Panics
    /// If the framework is not loaded.
    #[track_caller]
    fn websocket(&self, path: &str) -> WebSocketConnect {
        self.websocket_on(DEFAULT_NAME, path)
    }

    /// A client of the framework of this name.
    ///
    /// # Panics
    /// If the framework is not loaded.
    #[track_caller]
    fn websocket_on(&self, name: &str, path: &str) -> WebSocketConnect;
}

impl WebSocketTest for TestApp {
    fn websocket_on(&self, name: &str, path: &str) -> WebSocketConnect {
        match self.app_named::<WebSocketApp>(name) {
            Ok(app) => WebSocketConnect::of(&app, path),
            Err(error) => panic!("no client can connect: {error:?}"),
        }
    }
}
