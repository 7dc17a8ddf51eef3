//! A way to the broker that can be cut.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{broadcast, watch},
    time::timeout,
};

use crate::support::LIMIT;

/// On its way from the broker this becomes bytes that are no UTF-8, which no client of ours could
/// send, and others can.
pub(crate) const NOT_UTF8: &str = "NOT-UTF8";

/// Passes everything on to a broker, until it is cut.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: watch::Sender<u32>,
    frozen: watch::Sender<bool>,
    /// How many connections have stood still so far.
    stood_still: watch::Sender<usize>,
    inject: broadcast::Sender<Vec<u8>>,
    refuses: Arc<AtomicBool>,
    refused: watch::Receiver<u32>,
    connections: Arc<AtomicUsize>,
    open: Arc<()>,
}

impl Proxy {
    pub(crate) async fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (cut, cuts) = watch::channel(0);
        let (frozen, freezes) = watch::channel(false);
        let (refuses, connections) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (refusals, refused) = watch::channel(0);
        let (open, inject) = (Arc::new(()), broadcast::Sender::new(4));
        let stood_still = watch::Sender::new(0);
        let door = Door {
            listener,
            refuses: Arc::clone(&refuses),
            refusals,
            connections: Arc::clone(&connections),
            open: Arc::clone(&open),
            way: Way {
                address,
                cuts,
                freezes,
                stood_still: stood_still.clone(),
                inject: inject.clone(),
            },
        };
        tokio::spawn(door.accept());
        Self { port, cut, frozen, stood_still, inject, refuses, refused, connections, open }
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

    /// Passes nothing on any more, and closes nothing, until it thaws.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// Freezes, and waits until so many connections stand still: nothing more gets through them.
    pub(crate) async fn freeze_all(&self, connections: usize) {
        let mut still = self.stood_still.subscribe();
        let before = *still.borrow_and_update();
        self.freeze(true);
        let waiting = still.wait_for(|still| *still >= before + connections);
        timeout(LIMIT, waiting).await.expect("they stand still").expect("it accepts");
    }

    /// Waits until so many more connections were refused.
    pub(crate) async fn refused(&self, count: u32) {
        let mut refused = self.refused.clone();
        let before = *refused.borrow();
        let waiting = refused.wait_for(|refused| *refused >= before + count);
        timeout(LIMIT, waiting).await.expect("nobody connects").expect("it accepts");
    }

    /// How many connections were passed on so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many of them are open.
    pub(crate) fn open(&self) -> usize {
        // This one and the door's.
        Arc::strong_count(&self.open) - 2
    }
}

struct Door {
    listener: TcpListener,
    refuses: Arc<AtomicBool>,
    refusals: watch::Sender<u32>,
    connections: Arc<AtomicUsize>,
    open: Arc<()>,
    way: Way,
}

/// How a connection goes on to the broker.
#[derive(Clone)]
struct Way {
    address: String,
    cuts: watch::Receiver<u32>,
    freezes: watch::Receiver<bool>,
    stood_still: watch::Sender<usize>,
    inject: broadcast::Sender<Vec<u8>>,
}

impl Door {
    async fn accept(self) {
        while let Ok((client, _)) = self.listener.accept().await {
            if self.refuses.load(Ordering::SeqCst) {
                self.refusals.send_modify(|refused| *refused += 1);
            } else {
                self.connections.fetch_add(1, Ordering::SeqCst);
                let (way, open) = (self.way.clone(), Arc::clone(&self.open));
                tokio::spawn(async move {
                    pass(client, way).await;
                    drop(open);
                });
            }
        }
    }
}

async fn pass(mut client: TcpStream, way: Way) {
    let Way { address, mut cuts, mut freezes, stood_still, inject } = way;
    cuts.mark_unchanged();
    let Ok(mut broker) = TcpStream::connect(address).await else { return };
    let (from_client, to_client) = client.split();
    let (from_broker, to_broker) = broker.split();
    let mut passing = pin!(async {
        tokio::select! {
            _ = relay(from_client, to_broker, inject.subscribe()) => {}
            _ = garble(from_broker, to_client) => {}
        }
    });
    loop {
        let frozen = *freezes.borrow_and_update();
        if frozen {
            stood_still.send_modify(|still| *still += 1);
        }
        tokio::select! {
            // What is cut while it is frozen passes nothing on any more, although it thaws then.
            biased;
            _ = cuts.changed() => return,
            _ = freezes.changed() => {}
            () = &mut passing, if !frozen => return,
        }
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
