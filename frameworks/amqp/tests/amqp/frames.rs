//! A way to the broker that knows frames: deliveries can get lost on it, and the broker can be made
//! to say what it never said.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    sync::broadcast,
};

use crate::support::TestBroker;

/// The kinds of frames (AMQP 0-9-1, section 2.3.5).
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const END: u8 = 0xCE;

const DELIVER: [u8; 4] = [0, 60, 0, 60];
const BLOCKED: [u8; 4] = [0, 10, 0, 60];
const UNBLOCKED: [u8; 4] = [0, 10, 0, 61];

pub(crate) struct FrameProxy {
    pub(crate) url: String,
    is_mute: Arc<AtomicBool>,
    said: broadcast::Sender<Vec<u8>>,
}

impl FrameProxy {
    pub(crate) async fn before(broker: &TestBroker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (is_mute, said) = (Arc::new(AtomicBool::new(false)), broadcast::Sender::new(4));
        let (way, to) =
            (Way { is_mute: Arc::clone(&is_mute), said: said.clone() }, broker.proxy.port);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(way.clone().pass(client, to));
            }
        });
        let own = format!("127.0.0.1:{to}");
        let url = broker.url().replace(&own, &format!("127.0.0.1:{port}"));
        Self { url, is_mute, said }
    }

    /// Whether deliveries get lost from now on.
    pub(crate) fn mute(&self, is_mute: bool) {
        self.is_mute.store(is_mute, Ordering::SeqCst);
    }

    /// Says on every connection that the broker takes no messages (RabbitMQ's extension
    /// `connection.blocked`).
    pub(crate) fn block(&self, reason: &str) {
        let length = u8::try_from(reason.len()).expect("short");
        self.say(&[&BLOCKED[..], &[length], reason.as_bytes()].concat());
    }

    pub(crate) fn unblock(&self) {
        self.say(&UNBLOCKED);
    }

    fn say(&self, method: &[u8]) {
        let size = u32::try_from(method.len()).expect("short").to_be_bytes();
        let frame = [&[METHOD, 0, 0][..], &size, method, &[END]].concat();
        self.said.send(frame).expect("somebody is connected");
    }
}

#[derive(Clone)]
struct Way {
    is_mute: Arc<AtomicBool>,
    said: broadcast::Sender<Vec<u8>>,
}

impl Way {
    async fn pass(self, client: TcpStream, to: u16) {
        let Ok(broker) = TcpStream::connect(("127.0.0.1", to)).await else { return };
        let (mut from_client, mut to_client) = client.into_split();
        let (from_broker, mut to_broker) = broker.into_split();
        let (frames, mut next) = tokio::sync::mpsc::channel(64);
        let reading = tokio::spawn(read(from_broker, frames));
        let (mut dropped, mut said) = (Dropped::default(), self.said.subscribe());
        let back = async {
            loop {
                let frame = tokio::select! {
                    Some(frame) = next.recv() => frame,
                    Ok(frame) = said.recv() => frame,
                    else => return,
                };
                if !dropped.is(&frame, self.is_mute.load(Ordering::SeqCst))
                    && to_client.write_all(&frame).await.is_err()
                {
                    return;
                }
            }
        };
        tokio::select! {
            _ = copy(&mut from_client, &mut to_broker) => {}
            () = back => {}
        }
        reading.abort();
    }
}

async fn read(mut from: OwnedReadHalf, to: tokio::sync::mpsc::Sender<Vec<u8>>) {
    while let Some(frame) = frame(&mut from).await {
        if to.send(frame).await.is_err() {
            return;
        }
    }
}

/// A whole frame.
async fn frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; 7];
    from.read_exact(&mut frame).await.ok()?;
    let size = u32::from_be_bytes(frame[3..].try_into().expect("four bytes"));
    frame.resize(7 + usize::try_from(size).expect("it fits") + 1, 0);
    from.read_exact(&mut frame[7..]).await.ok()?;
    Some(frame)
}

/// By channel: how much of a delivery that gets lost is still to come.
#[derive(Default)]
struct Dropped(HashMap<[u8; 2], Option<u64>>);

impl Dropped {
    fn is(&mut self, frame: &[u8], is_mute: bool) -> bool {
        let (kind, channel) = (frame[0], [frame[1], frame[2]]);
        let payload = &frame[7..frame.len() - 1];
        let left = match (kind, self.0.get(&channel).copied()) {
            (METHOD, _) if is_mute && payload.starts_with(&DELIVER) => None,
            (HEADER, Some(None)) => {
                Some(u64::from_be_bytes(payload[4..12].try_into().expect("eight bytes")))
            }
            (BODY, Some(Some(left))) => Some(left - u64::try_from(payload.len()).expect("it fits")),
            _ => return false,
        };
        match left {
            Some(0) => self.0.remove(&channel),
            left => self.0.insert(channel, left),
        };
        true
    }
}
