//! HTTP for polyport: operations served by one route table on hyper (RFC 9110, RFC 9112 and
//! RFC 9113), with axum routers mounted where an application wants them.
//!
//! - [`HttpFramework`] is what a bootstrap loads; [`HttpSettings`] is its section `http`.
//! - [`HttpModule`] gives the module builder `http(…)`, which fills [`HttpRoutes`].
//! - [`HttpApp`] is the handle that application code injects.
//! - With the feature `testing`, `testing::HttpTest` gives tests an HTTP client.
//!
//! # Examples
//! ```
//! use polyport_bootstrap::{Bootstrap, Fault, Module, ModuleBuilder, Result};
//! use polyport_http::{HttpFramework, HttpModule};
//!
//! async fn hello() -> Result<String, Fault> {
//!     Ok("hello".to_owned())
//! }
//!
//! struct HelloModule;
//!
//! impl Module for HelloModule {
//!     fn name(&self) -> &'static str {
//!         "hello"
//!     }
//!
//!     fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
//!         m.http(|r| r.get("/hello", hello));
//!         Ok(())
//!     }
//! }
//!
//! fn bootstrap() -> Bootstrap {
//!     Bootstrap::new().load(HttpFramework::new()).module(HelloModule)
//! }
//! # bootstrap();
//! ```

mod adapter;
mod app;
mod blank;
mod body;
mod compression;
mod conditional;
mod cookies;
mod core;
mod cors;
mod dispatch;
mod encoding;
mod event;
mod files;
mod find;
mod framework;
mod head;
mod health;
mod layers;
mod mount;
mod outermost;
mod pattern;
mod redirect;
mod refusal;
mod reply;
mod request;
mod resources;
mod routes;
mod security_headers;
mod service;
mod settings;
mod shell;
mod site;
mod stream;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod upload;

pub use ::cookie;
pub use app::HttpApp;
pub use body::BodyLimit;
pub use compression::{CompressionCoding, CompressionSettings};
pub use cookies::{CookieSettings, Cookies, SecureCookies};
pub use cors::CorsSettings;
pub use event::{LastEventId, ServerEvent};
pub use files::StaticFiles;
pub use framework::HttpFramework;
pub use http::StatusCode;
pub use layers::HttpService;
pub use redirect::Redirect;
pub use request::HttpRequest;
pub use resources::Resources;
pub use routes::{HttpModule, HttpRoutes, PROTOCOL};
pub use security_headers::SecurityHeaderSettings;
pub use service::{IntoService, OperationService};
pub use settings::{HealthSettings, HttpSettings};
pub use upload::{Upload, UploadSettings, UploadedFile};
