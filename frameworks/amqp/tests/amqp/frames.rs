//! A way to the broker that knows frames: deliveries can get lost on it, and the broker can be made
//! to say what it never said.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
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

const ACK: [u8; 4] = [0, 60, 0, 80];
const NACK: [u8; 4] = [0, 60, 0, 120];
const CLOSE_OK: [u8; 4] = [0, 20, 0, 41];
const SELECT_OK: [u8; 4] = [0, 85, 0, 11];
const DELIVER: [u8; 4] = [0, 60, 0, 60];
const BLOCKED: [u8; 4] = [0, 10, 0, 60];
const UNBLOCKED: [u8; 4] = [0, 10, 0, 61];

pub(crate) struct FrameProxy {
    pub(crate) url: String,
    is_mute: Arc<AtomicBool>,
    unconfirmed: Arc<Unconfirmed>,
    forges: Arc<AtomicBool>,
    said: broadcast::Sender<Vec<u8>>,
}

/// Flags of properties (AMQP 0-9-1, section 4.2.6.1), in the second byte.
const USER_ID: u8 = 0x10;
const APP_ID: u8 = 0x08;

/// Which of the broker's answers to publishers get lost.
#[derive(Debug, Default)]
struct Unconfirmed {
    /// The confirmations of so many messages, the first ones on each channel.
    messages: AtomicU64,
    /// How many of these got lost.
    lost: AtomicU64,
    /// All confirmations until their channel is closed.
    late: AtomicBool,
    /// All confirmations on channels that are open: refusals come in their place.
    refused: AtomicBool,
    /// That confirmations are given at all.
    channels: AtomicBool,
}

impl FrameProxy {
    pub(crate) async fn before(broker: &TestBroker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (is_mute, said) = (Arc::new(AtomicBool::new(false)), broadcast::Sender::new(4));
        let (unconfirmed, to) = (Arc::<Unconfirmed>::default(), broker.proxy.port);
        let forges = Arc::<AtomicBool>::default();
        let way = Way {
            is_mute: Arc::clone(&is_mute),
            unconfirmed: Arc::clone(&unconfirmed),
            forges: Arc::clone(&forges),
            said: said.clone(),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(way.clone().pass(client, to));
            }
        });
        let own = format!("127.0.0.1:{to}");
        let url = broker.url().replace(&own, &format!("127.0.0.1:{port}"));
        Self { url, is_mute, unconfirmed, forges, said }
    }

    /// Whether deliveries get lost from now on.
    pub(crate) fn mute(&self, is_mute: bool) {
        self.is_mute.store(is_mute, Ordering::SeqCst);
    }

    /// From now on nobody is told that the first messages on each channel are confirmed: so many.
    pub(crate) fn unconfirmed(&self, messages: u64) {
        self.unconfirmed.messages.store(messages, Ordering::SeqCst);
    }

    /// How many confirmations got lost.
    pub(crate) fn lost(&self) -> u64 {
        self.unconfirmed.lost.load(Ordering::SeqCst)
    }

    /// From now on confirmations are held back until the client closes its channel, and come before
    /// the broker's answer to that.
    pub(crate) fn confirm_late(&self) {
        self.unconfirmed.late.store(true, Ordering::SeqCst);
    }

    /// From now on everything is refused on the channels that are open, and on no later one.
    pub(crate) fn refuse(&self) {
        self.unconfirmed.refused.store(true, Ordering::SeqCst);
    }

    /// From now on what an application has sent, by its id, comes as what a user of that name has.
    pub(crate) fn forge_users(&self) {
        self.forges.store(true, Ordering::SeqCst);
    }

    /// Whether the broker's answer to whoever wants confirmations gets lost from now on.
    pub(crate) fn mute_channels(&self, is_mute: bool) {
        self.unconfirmed.channels.store(is_mute, Ordering::SeqCst);
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
    unconfirmed: Arc<Unconfirmed>,
    forges: Arc<AtomicBool>,
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
        let (mut late, mut renewed) = (Vec::new(), HashSet::new());
        let back = async {
            loop {
                let mut frame = tokio::select! {
                    frame = next.recv() => match frame {
                        Some(frame) => frame,
                        None => return,
                    },
                    Ok(frame) = said.recv() => frame,
                };
                if self.forges.load(Ordering::SeqCst) {
                    forge_user(&mut frame);
                }
                self.unconfirmed.refuse(&mut frame, &mut renewed);
                if self.unconfirmed.delays(&frame) {
                    late.append(&mut frame);
                    continue;
                }
                if frame[0] == METHOD && frame[7..].starts_with(&CLOSE_OK) {
                    frame = [std::mem::take(&mut late), frame].concat();
                }
                if !self.unconfirmed.is(&mut frame)
                    && !dropped.is(&frame, self.is_mute.load(Ordering::SeqCst))
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

fn forge_user(frame: &mut [u8]) {
    let (kind, flags) = (frame[0], 7 + 13);
    if kind == HEADER && frame[flags] & (USER_ID | APP_ID) == APP_ID {
        frame[flags] ^= USER_ID | APP_ID;
    }
}

impl Unconfirmed {
    fn refuse(&self, frame: &mut [u8], renewed: &mut HashSet<[u8; 2]>) {
        let channel = [frame[1], frame[2]];
        if frame[0] != METHOD || !self.refused.load(Ordering::SeqCst) {
            return;
        }
        if frame[7..].starts_with(&SELECT_OK) {
            renewed.insert(channel);
        } else if frame[7..].starts_with(&ACK) && !renewed.contains(&channel) {
            frame[7..11].copy_from_slice(&NACK);
        }
    }

    fn delays(&self, frame: &[u8]) -> bool {
        let confirms = frame[0] == METHOD && frame[7..].starts_with(&ACK);
        confirms && self.late.load(Ordering::SeqCst)
    }

    fn is(&self, frame: &mut [u8]) -> bool {
        let payload = &frame[7..frame.len() - 1];
        if frame[0] == METHOD && payload.starts_with(&SELECT_OK) {
            return self.channels.load(Ordering::SeqCst);
        }
        if frame[0] != METHOD || !payload.starts_with(&ACK) {
            return false;
        }
        let tag = u64::from_be_bytes(payload[4..12].try_into().expect("eight bytes"));
        let messages = self.messages.load(Ordering::SeqCst);
        if messages > 0 {
            // Not `multiple`: a confirmation is that of one message.
            frame[7 + 12] &= !1;
        }
        let is_lost = tag <= messages;
        self.lost.fetch_add(u64::from(is_lost), Ordering::SeqCst);
        is_lost
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
