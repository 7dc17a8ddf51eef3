//! A port of its own that tells how the process is: for orchestrators, which want to know more
//! than the process's clients do, and earlier.
//!
//! It answers from the moment at which all frameworks are built (before anything is bound, and
//! while singletons are built and hooks run) until everything else is closed. What it answers are
//! small documents of JSON:
//!
//! | path | answer |
//! |---|---|
//! | `/health/live` | 200 while the process lives |
//! | `/health/ready` | 200 while the process wants calls, 503 otherwise; each component's state |
//! | `/health/started` | 200 once the process has been started, 503 before |
//! | `/status` | phase and stage, health, calls and background tasks in flight |
//! | `/timeline` | what took how long |
//! | `/config` | the configuration with secrets masked, where `admin.config` says so |
//!
//! It is for the inside of a network: whoever reaches it may read all of this.
//!
//! # Examples
//! ```
//! use polyport_admin::AdminFramework;
//! use polyport_bootstrap::{Bootstrap, Framework};
//!
//! fn bootstrap(http: impl Framework) -> Bootstrap {
//!     Bootstrap::new().load(http).load(AdminFramework::new())
//! }
//! ```

mod answers;
mod app;
mod framework;
mod handler;
mod settings;

pub use self::{app::AdminApp, framework::AdminFramework, settings::AdminSettings};
