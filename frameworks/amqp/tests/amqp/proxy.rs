//! A way to the broker that can be cut.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{broadcast, watch},
};

/// On its way from the broker this becomes bytes that are no UTF-8, which no client of ours could
/// send, and others can.
pub(crate) const NOT_UTF8: &str = "NOT-UTF8";

/// Passes everything on to a broker, until it is cut.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: watch::Sender<u32>,
    inject: broadcast::Sender<Vec<u8>>,
    refuses: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (cut, cuts) = watch::channel(0);
        let (inject, _) = broadcast::channel(4);
        let refuses = Arc::new(AtomicBool::new(false));
        let way = Way { address, cuts, inject: inject.clone() };
        tokio::spawn(accept(listener, way, Arc::clone(&refuses)));
        Self { port, cut, inject, refuses }
    }

    /// Says something to the broker in the name of every client that is connected.
    pub(crate) fn inject(&self, frame: Vec<u8>) {
        self.inject.send(frame).expect("a client is connected");
    }

    /// Closes every connection; new ones are taken.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Closes every connection, and every new one at once, until [`mend`](Self::mend).
    pub(crate) fn cut_off(&self) {
        self.refuses.store(true, Ordering::SeqCst);
        self.cut();
    }

    pub(crate) fn mend(&self) {
        self.refuses.store(false, Ordering::SeqCst);
    }
}

/// How a connection goes on to the broker.
#[derive(Clone)]
struct Way {
    address: String,
    cuts: watch::Receiver<u32>,
    inject: broadcast::Sender<Vec<u8>>,
}

async fn accept(listener: TcpListener, way: Way, refuses: Arc<AtomicBool>) {
    while let Ok((client, _)) = listener.accept().await {
        if !refuses.load(Ordering::SeqCst) {
            tokio::spawn(pass(client, way.clone()));
        }
    }
}

async fn pass(mut client: TcpStream, way: Way) {
    let Way { address, mut cuts, inject } = way;
    cuts.mark_unchanged();
    let Ok(mut broker) = TcpStream::connect(address).await else { return };
    let (from_client, to_client) = client.split();
    let (from_broker, to_broker) = broker.split();
    tokio::select! {
        _ = relay(from_client, to_broker, inject.subscribe()) => {}
        _ = garble(from_broker, to_client) => {}
        _ = cuts.changed() => {}
    }
}

async fn relay(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut injected: broadcast::Receiver<Vec<u8>>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            length = from.read(&mut buffer) => match length? {
                0 => return Ok(()),
                length => to.write_all(&buffer[..length]).await?,
            },
            Ok(frame) = injected.recv() => to.write_all(&frame).await?,
        }
    }
}

async fn garble(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let bytes = &mut buffer[..length];
        if bytes.is_empty() {
            return Ok(());
        }
        while let Some(at) = bytes.windows(NOT_UTF8.len()).position(|w| w == NOT_UTF8.as_bytes()) {
            bytes[at..at + NOT_UTF8.len()].fill(0xff);
        }
        to.write_all(bytes).await?;
    }
}
