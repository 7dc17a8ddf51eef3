//! The listener of a framework that has a port of its own, through the whole of its life.

use std::{sync::Arc, time::Duration};

use polyport_bootstrap::{
    AppCore, Error, HandedOver, Inherited, Result, SocketAddress,
    framework::{Activity, Endpoint, FrameworkContext},
};

use crate::{
    BindError, BoundListener, ErasedHandler, ListenerError, ListenerSettings, Server,
    SharedListener, TlsError, bind::resolve, tls::Tls,
};

/// A framework's own listener, on one address or several. Its methods are those of a
/// [`Transport`](polyport_bootstrap::Transport), in the same order; before it serves, and after it
/// is closed, the later ones do nothing.
#[derive(Debug)]
pub struct ListenerHost {
    section: String,
    handed_over: HandedOver,
    in_memory: bool,
    listener: SharedListener,
    endpoints: Vec<Endpoint>,
    settings: ListenerSettings,
    bound: Vec<BoundListener>,
    server: Option<Server>,
}

impl ListenerHost {
    /// The listener of the framework that is being built, at `host` and `port` (see
    /// [`Endpoint::new`]) and wherever else the settings say. Where every port is to be a free one
    /// (tests), they are; where no socket is to be opened, its [`Door`](crate::Door) is the only
    /// way in.
    ///
    /// # Errors
    /// Returns an error where the settings for TLS do not work out.
    pub fn new(
        context: &FrameworkContext<'_>,
        host: &str,
        port: u16,
        mut settings: ListenerSettings,
    ) -> Result<Self> {
        let mut first = Endpoint::new(host, port);
        if context.free_ports() {
            first = first.with_free_port();
            settings = settings.with_free_ports();
        }
        let section = context.section_key().to_owned();
        settings.tls = settings.tls.within(context.config().root());
        Tls::load(&settings.tls).map_err(|error| no_tls(&error, &section))?;
        let mut endpoints = vec![first];
        endpoints.append(&mut settings.addresses);
        endpoints.retain(|_| !context.in_memory());
        let listener = SharedListener::new(context.core().title());
        if settings.tls.is_enabled() {
            listener.door().set_encrypted();
        }
        Ok(Self {
            section,
            handed_over: context.handed_over().clone(),
            in_memory: context.in_memory(),
            listener,
            endpoints,
            settings,
            bound: Vec::new(),
            server: None,
        })
    }

    /// What others join.
    #[must_use]
    pub fn listener(&self) -> &SharedListener {
        &self.listener
    }

    /// As [`Transport::endpoints`](polyport_bootstrap::Transport::endpoints).
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.endpoints.clone()
    }

    /// Binds, or takes over sockets that were handed over, and says so to the handle; clients are
    /// refused (or, on a socket that was handed over, wait) until [`serve`](Self::serve). The first
    /// socket that was handed over for this framework's section of the configuration takes the
    /// place of its first address, and further ones are served too; one on any of the addresses
    /// takes the place of that.
    ///
    /// # Errors
    /// Returns an error that names the address and what to do.
    pub async fn bind(&mut self, core: &AppCore) -> Result<()> {
        match self.in_memory {
            true => self.bound.push(BoundListener::in_memory(self.listener.door().clone())),
            false => self.bind_sockets().await?,
        }
        self.bound.iter().for_each(|bound| self.listener.announce(bound.local_addr()));
        self.listener.introduce(core);
        Ok(())
    }

    async fn bind_sockets(&mut self) -> Result<()> {
        let named = self.handed_over.take_named(&self.section);
        let rest = usize::from(!named.is_empty());
        for socket in named {
            self.take_over(socket)?;
        }
        for endpoint in self.endpoints.iter().skip(rest).cloned().collect::<Vec<_>>() {
            match self.handed_over.take(&sockets_of(&endpoint).await) {
                Some(socket) => self.take_over(socket)?,
                None => {
                    let bound = BoundListener::bind_to(&endpoint, self.settings.socket_mode).await;
                    self.bound.push(bound.map_err(not_bound)?);
                }
            }
        }
        Ok(())
    }

    fn take_over(&mut self, socket: Inherited) -> Result<()> {
        let bound = BoundListener::take_over(socket).map_err(not_bound)?;
        tracing::info!(
            framework = self.listener.name(), address = %bound.address(), "took over a socket"
        );
        self.bound.push(bound);
        Ok(())
    }

    /// Listens, and gives every request to `handler`.
    ///
    /// # Errors
    /// Returns an error where somebody else has begun to listen on the address since it was bound.
    pub fn serve(&mut self, handler: Arc<dyn ErasedHandler>) -> Result<()> {
        let bound = std::mem::take(&mut self.bound);
        if bound.is_empty() {
            return Err(Error::other("serve comes after bind"));
        }
        let listening = bound.into_iter().map(BoundListener::listen);
        let listening = listening.collect::<Result<Vec<_>, _>>().map_err(not_bound)?;
        let server = self.listener.serve(listening, handler, &self.settings);
        self.server = Some(server.map_err(|error| misused(error, &self.section))?);
        Ok(())
    }

    /// As [`Server::stop_intake`].
    pub async fn stop_intake(&self) {
        if let Some(server) = &self.server {
            server.stop_intake().await;
        }
    }

    /// As [`Server::drain`].
    pub async fn drain(&self) {
        if let Some(server) = &self.server {
            server.drain().await;
        }
    }

    /// As [`Server::close`].
    ///
    /// # Errors
    /// Returns how many connections were cut.
    pub async fn close(&mut self, grace: Duration) -> Result<()> {
        self.bound.clear();
        let Some(server) = self.server.take() else { return Ok(()) };
        match server.close(grace).await {
            0 => Ok(()),
            cut => {
                let connections = if cut == 1 { "connection was" } else { "connections were" };
                Err(Error::deadline(format!(
                    "{cut} {connections} cut: not ended {grace:?} after they were told to"
                )))
            }
        }
    }

    /// As [`Transport::failed`](polyport_bootstrap::Transport::failed).
    pub async fn failed(&self) -> Error {
        match &self.server {
            Some(server) => Error::other(server.failed().await)
                .advise("what it panicked with stands above; report it as a bug"),
            None => std::future::pending().await,
        }
    }

    /// What can be asked at any time for the calls in flight.
    #[must_use]
    pub fn activity(&self) -> Arc<dyn Activity> {
        self.listener.activity()
    }
}

/// Where a socket may listen that was handed over for an address.
async fn sockets_of(endpoint: &Endpoint) -> Vec<SocketAddress> {
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let addresses = resolve(host, *port).await.unwrap_or_default();
            addresses.into_iter().map(SocketAddress::Tcp).collect()
        }
        Endpoint::Unix(path) => vec![SocketAddress::Unix(path.clone())],
    }
}

fn not_bound(error: BindError) -> Error {
    let report = Error::connection(error.to_string());
    error.advice().into_iter().fold(report, |report, advice| report.advise(advice))
}

fn no_tls(error: &TlsError, section: &str) -> Error {
    Error::configuration(format!("{section}.{error}")).advise(error.advice())
}

fn misused(error: ListenerError, section: &str) -> Error {
    match error {
        ListenerError::Tls { error, .. } => no_tls(&error, section),
        error => Error::wiring(error.to_string()),
    }
}
