//! A way to the broker that can be cut.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes everything on to a broker, until it is cut.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: watch::Sender<u32>,
    refuses: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (cut, cuts) = watch::channel(0);
        let refuses = Arc::new(AtomicBool::new(false));
        tokio::spawn(accept(listener, address, cuts, Arc::clone(&refuses)));
        Self { port, cut, refuses }
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

async fn accept(
    listener: TcpListener,
    address: String,
    cuts: watch::Receiver<u32>,
    refuses: Arc<AtomicBool>,
) {
    while let Ok((client, _)) = listener.accept().await {
        if !refuses.load(Ordering::SeqCst) {
            tokio::spawn(pass(client, address.clone(), cuts.clone()));
        }
    }
}

async fn pass(mut client: TcpStream, address: String, mut cuts: watch::Receiver<u32>) {
    cuts.mark_unchanged();
    let Ok(mut broker) = TcpStream::connect(address).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut broker) => {}
        _ = cuts.changed() => {}
    }
}
