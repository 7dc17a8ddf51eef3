//! Where a gRPC framework is served: on a port of its own, or on somebody else's listener.

use std::{
    future::pending,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::Request;
use polyport_bootstrap::{
    AppCore, Error, Result,
    framework::{Activity, Endpoint, FrameworkContext},
};
use polyport_listener::{
    ErasedHandler, LateHandler, ListenerHost, ListenerRegistry, Mount, SharedListener,
};
use tokio_util::sync::CancellationToken;

use crate::{GrpcSettings, web};

pub(crate) enum Place {
    Own(Box<ListenerHost>),
    Joined(Joined),
}

/// An HTTP framework's listener, whose owner binds, stops, drains and closes it.
pub(crate) struct Joined {
    registry: Arc<ListenerRegistry>,
    name: String,
    section: String,
    web: bool,
    /// There before the listener serves, which may be before this framework does.
    handler: Arc<LateHandler>,
    listener: OnceLock<SharedListener>,
}

impl Place {
    pub(crate) fn new(context: &FrameworkContext<'_>, settings: &GrpcSettings) -> Result<Self> {
        let Some(name) = settings.joined() else {
            let port = settings.own_port();
            let host = ListenerHost::new(context, &settings.host, port, settings.listener())?;
            return Ok(Self::Own(Box::new(host)));
        };
        Ok(Self::Joined(Joined {
            registry: context.shared(),
            name: name.to_owned(),
            section: context.section_key().to_owned(),
            web: settings.web,
            handler: Arc::default(),
            listener: OnceLock::new(),
        }))
    }

    pub(crate) fn listener(&self) -> Option<&SharedListener> {
        match self {
            Self::Own(host) => Some(host.listener()),
            Self::Joined(joined) => joined.listener.get(),
        }
    }

    /// Cancelled when open streams have to end.
    pub(crate) fn closing(&self) -> CancellationToken {
        self.listener().map(SharedListener::closing).unwrap_or_default()
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        match self {
            Self::Own(host) => host.endpoints(),
            Self::Joined(_) => Vec::new(),
        }
    }

    pub(crate) fn link(&self, core: &AppCore) -> Result<()> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Joined(joined) => joined.join(core),
        }
    }

    pub(crate) async fn bind(&mut self, core: &AppCore) -> Result<()> {
        match self {
            Self::Own(host) => host.bind(core).await,
            Self::Joined(joined) => {
                joined.learn(core);
                Ok(())
            }
        }
    }

    pub(crate) fn serve(&mut self, core: &AppCore, handler: Arc<dyn ErasedHandler>) -> Result<()> {
        match self {
            Self::Own(host) => host.serve(handler),
            Self::Joined(joined) => {
                joined.learn(core);
                joined.handler.set(handler);
                Ok(())
            }
        }
    }

    pub(crate) async fn failed(&self) -> Error {
        match self {
            Self::Own(host) => host.failed().await,
            Self::Joined(_) => pending().await,
        }
    }

    pub(crate) async fn stop_intake(&self) {
        if let Self::Own(host) = self {
            host.stop_intake().await;
        }
    }

    pub(crate) async fn drain(&self) {
        if let Self::Own(host) = self {
            host.drain().await;
        }
    }

    pub(crate) async fn close(&mut self, grace: Duration) -> Result<()> {
        match self {
            Self::Own(host) => host.close(grace).await,
            Self::Joined(_) => Ok(()),
        }
    }

    /// On a joined listener the owner's says it all.
    pub(crate) fn activity(&self) -> Option<Arc<dyn Activity>> {
        match self {
            Self::Own(host) => Some(host.activity()),
            Self::Joined(_) => None,
        }
    }
}

impl Joined {
    fn join(&self, core: &AppCore) -> Result<()> {
        let web = self.web;
        let claims = move |request: &Request<_>| {
            web::has_grpc_type(request) || (web && web::is_preflight(request))
        };
        let handler = Arc::clone(&self.handler);
        let mount = Mount::new(core.title(), claims, handler);
        let listener = self.registry.join(&self.name, &self.section, mount)?;
        let _ = self.listener.set(listener);
        Ok(())
    }

    /// What was joined is bound by its owner, at the latest before anybody serves.
    fn learn(&self, core: &AppCore) {
        if let Some(listener) = self.listener.get() {
            listener.introduce(core);
        }
    }
}
