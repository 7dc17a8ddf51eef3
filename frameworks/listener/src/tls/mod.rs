//! TLS by rustls, whose certificates can be renewed while it serves.

mod load;
mod settings;

use std::{fs, future::pending, io, path::PathBuf, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub use self::{
    load::TlsError,
    settings::{ClientCertificates, TlsSettings},
};
use crate::{
    client::PeerCertificates,
    io::{Io, Socket},
};

/// A connection on which HTTP can be spoken.
pub(crate) struct Session {
    pub(crate) io: Io,
    pub(crate) certificates: Option<PeerCertificates>,
}

/// How TLS is spoken now.
#[derive(Debug)]
pub(crate) struct Tls {
    settings: TlsSettings,
    config: ArcSwap<ServerConfig>,
    files: Vec<PathBuf>,
    /// The files as they were before they were read.
    loaded: Seen,
}

/// What tells one state of the files from another.
type Seen = Vec<Option<(u64, Option<SystemTime>, u64)>>;

impl Tls {
    /// None where there is no certificate.
    pub(crate) fn load(settings: &TlsSettings) -> Result<Option<Self>, TlsError> {
        if !settings.is_enabled() {
            return Ok(None);
        }
        let files = [&settings.certificate, &settings.key, &settings.client_ca];
        let files: Vec<_> = files.into_iter().flatten().cloned().collect();
        let loaded = look(&files);
        let config = ArcSwap::from_pointee(load::config(settings)?);
        Ok(Some(Self { settings: settings.clone(), config, files, loaded }))
    }

    /// Shakes hands with a client.
    pub(crate) async fn accept(&self, socket: Socket) -> io::Result<Session> {
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let handshake = acceptor.accept(socket);
        let stream = timeout(self.settings.handshake_timeout, handshake).await??;
        let shown = stream.get_ref().1.peer_certificates();
        let certificates = shown.map(|chain| {
            PeerCertificates(chain.iter().map(|one| one.clone().into_owned()).collect())
        });
        Ok(Session { io: Io::tls(stream), certificates })
    }

    /// Looks for renewed certificates from now on.
    pub(crate) async fn reload_forever(&self) {
        if self.files.is_empty() || self.settings.reload_interval.is_zero() {
            return pending().await;
        }
        let mut loaded = self.loaded.clone();
        let mut before = self.look().await;
        loop {
            tokio::time::sleep(self.settings.reload_interval).await;
            let now = self.look().await;
            // What still changes may be half written.
            if now == before && now != loaded {
                self.reload().await;
                loaded.clone_from(&now);
            }
            before = now;
        }
    }

    async fn reload(&self) {
        let settings = self.settings.clone();
        let config = tokio::task::spawn_blocking(move || load::config(&settings)).await;
        match config {
            Ok(Ok(config)) => {
                self.config.store(Arc::new(config));
                tracing::info!(files = ?self.files, "TLS certificates were renewed");
            }
            Ok(Err(error)) => tracing::error!(
                %error, advice = error.advice(),
                "renewed TLS certificates do not work out, those before them go on",
            ),
            Err(_) => {}
        }
    }

    async fn look(&self) -> Seen {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || look(&files)).await.unwrap_or_default()
    }
}

/// Links are followed, so that one that leads elsewhere (a Kubernetes Secret) is a change.
fn look(files: &[PathBuf]) -> Seen {
    let state = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some((metadata.len(), metadata.modified().ok(), inode))
    };
    files.iter().map(state).collect()
}
