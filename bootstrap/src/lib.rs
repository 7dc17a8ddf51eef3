//! The kernel of polyport: bootstrap, container, configuration, lifecycle and the
//! protocol-neutral call. It knows no protocol; frameworks bring those along.
//!
//! Applications depend on the facade crate `polyport`; this one is for authors of frameworks.

mod application;
mod backoff;
mod bootstrap;
mod catalog;
mod command;
pub mod config;
pub mod container;
mod declared;
mod error;
mod family;
pub mod framework;
mod graph;
mod health;
mod hooks;
mod injectables;
mod lifecycle;
mod logging;
pub mod middleware;
mod module;
pub mod operation;
mod panics;
mod preset;
mod program;
mod runtime;
mod share;
mod signals;
mod systemd;
mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod witness;

pub use application::{AppCore, AppHandle, Application, DEFAULT_NAME, FromApps};
pub use backoff::Backoff;
pub use bootstrap::Bootstrap;
pub use catalog::{Catalog, CatalogOperation, CatalogStage};
pub use config::{Config, Environment, RemoteConfig, Settings};
pub use container::{Container, Injectable, Provide};
pub use declared::Hook;
pub use error::{Error, ErrorKind, Result};
pub use framework::{Framework, Transport};
pub use graph::{Graph, GraphEdge, GraphHook, GraphModule, GraphOperation, GraphProvider};
pub use health::{
    ComponentHealth, ComponentStatus, Health, HealthCheck, HealthStatus, HealthWatch, Indicator,
    Liveness, Readiness, Startup,
};
pub use hooks::HookPoint;
pub use lifecycle::{
    Lifecycle, LogFormat, LogSettings, Phase, Reload, Reloader, RunningBootstrap, ShutdownSettings,
    Stage, StartupSettings, StepOutcome, Timeline, TimelineEntry,
};
pub use module::{Controller, Module, ModuleBuilder, Registered, RouteSet, exposures, module};
pub use operation::{App, Context, Fault, FaultKind};
#[cfg(any(test, feature = "testing"))]
pub use polyport_macros::test;
pub use polyport_macros::{Provide, Settings, controller, main, operation, provide};
pub use polyport_wire as wire;
pub use preset::Preset;
pub use systemd::{HandedOver, Inherited, SocketAddress};
pub use tasks::{
    ActiveTask, BackoffSettings, OnTaskFailure, TaskBuilder, TaskCounts, TaskHandle, TaskSettings,
    Tasks,
};

/// What the macros expand to; not meant to be called by hand.
#[doc(hidden)]
pub mod __private {
    pub use serde;

    #[cfg(any(test, feature = "testing"))]
    pub use crate::testing::{TestRuntime, run_test};
    pub use crate::{
        operation::{InputField, InputFields, InputSource, Rules, bind_fields},
        runtime::{run_main, run_main_alone},
    };
}
