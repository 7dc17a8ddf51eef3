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
    refuses: Arc<AtomicBool>,
    frozen: watch::Sender<bool>,
    words: broadcast::Sender<Vec<u8>>,
}

impl Proxy {
    pub(crate) async fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (cut, cuts) = watch::channel(0);
        let refuses = Arc::new(AtomicBool::new(false));
        let (frozen, words) = (watch::Sender::new(false), broadcast::Sender::new(4));
        let way = Way { address, cuts, frozen: frozen.subscribe(), words: words.clone() };
        tokio::spawn(accept(listener, way, Arc::clone(&refuses)));
        Self { port, cut, refuses, frozen, words }
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

    /// Keeps back what clients send, or lets it pass again.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// Tells every client that the broker takes no messages (`connection.blocked`), as a broker
    /// would that is short of memory. To be said while the broker sends nothing else.
    pub(crate) fn say_blocked(&self, reason: &str) {
        let mut arguments = vec![u8::try_from(reason.len()).expect("short")];
        arguments.extend_from_slice(reason.as_bytes());
        self.say(60, &arguments);
    }

    /// Takes that back (`connection.unblocked`).
    pub(crate) fn say_unblocked(&self) {
        self.say(61, &[]);
    }

    /// A method of class 10 (connection), in a frame for channel 0 (AMQP 0-9-1, section 2.3.5).
    fn say(&self, method: u8, arguments: &[u8]) {
        let size = u32::try_from(4 + arguments.len()).expect("small");
        let mut frame = vec![1, 0, 0];
        frame.extend_from_slice(&size.to_be_bytes());
        frame.extend_from_slice(&[0, 10, 0, method]);
        frame.extend_from_slice(arguments);
        frame.push(0xce);
        self.words.send(frame).expect("a client is connected");
    }
}

/// What every connection needs.
#[derive(Debug, Clone)]
struct Way {
    address: String,
    cuts: watch::Receiver<u32>,
    frozen: watch::Receiver<bool>,
    words: broadcast::Sender<Vec<u8>>,
}

async fn accept(listener: TcpListener, way: Way, refuses: Arc<AtomicBool>) {
    while let Ok((client, _)) = listener.accept().await {
        if !refuses.load(Ordering::SeqCst) {
            tokio::spawn(pass(client, way.clone()));
        }
    }
}

async fn pass(mut client: TcpStream, mut way: Way) {
    way.cuts.mark_unchanged();
    let words = way.words.subscribe();
    let Ok(mut broker) = TcpStream::connect(way.address).await else { return };
    let (from_client, to_client) = client.split();
    let (from_broker, to_broker) = broker.split();
    tokio::select! {
        () = keep_back(from_client, to_broker, way.frozen) => {}
        _ = garble(from_broker, to_client, words) => {}
        _ = way.cuts.changed() => {}
    }
}

async fn keep_back(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut frozen: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let thawed = frozen.wait_for(|frozen| !frozen).await.is_ok();
        if !thawed || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn garble(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut words: broadcast::Receiver<Vec<u8>>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = tokio::select! {
            length = from.read(&mut buffer) => length?,
            Ok(word) = words.recv() => {
                to.write_all(&word).await?;
                continue;
            }
        };
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
