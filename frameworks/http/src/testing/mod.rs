//! An HTTP client for tests.

mod client;
mod event;
mod events;
mod jar;
mod multipart;
mod pairs;
mod redirect;
mod reply;
mod request;
mod sent;
mod stream;

use polyport_bootstrap::{DEFAULT_NAME, testing::TestApp};

pub use self::{
    client::HttpClient, event::ReceivedEvent, events::HttpEvents, multipart::Multipart,
    reply::HttpReply, request::HttpRequest, stream::HttpStream,
};
use crate::HttpApp;

/// Gives a [`TestApp`] its HTTP clients, whether it listens on sockets or in memory.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::{Bootstrap, Result, testing::create_bootstrap};
/// use polyport_http::testing::HttpTest;
/// use serde_json::json;
///
/// async fn serves_users(bootstrap: Bootstrap) -> Result<()> {
///     let app = create_bootstrap(bootstrap).in_memory().await?;
///     let client = app.http();
///     let entered = client.post("/login").json(&json!({ "name": "tom" })).await;
///     assert_eq!(entered.status(), 200);
///     // It has kept the cookie.
///     let name: String = client.get("/me").await.expect_status(200).json();
///     assert_eq!(name, "tom");
///     app.close().await
/// }
/// ```
pub trait HttpTest {
    /// A new client, without cookies, of the HTTP framework that has no name of its own.
    ///
    /// # Panics
    /// Panics where no such framework is loaded.
    #[track_caller]
    fn http(&self) -> HttpClient {
        self.http_on(DEFAULT_NAME)
    }

    /// A new client, without cookies, of the HTTP framework of this name.
    ///
    /// # Panics
    /// Panics where no such framework is loaded.
    #[track_caller]
    fn http_on(&self, name: &str) -> HttpClient;
}

impl HttpTest for TestApp {
    fn http_on(&self, name: &str) -> HttpClient {
        match self.app_named::<HttpApp>(name) {
            Ok(app) => HttpClient::of(&app),
            Err(error) => panic!("{error:?}"),
        }
    }
}
