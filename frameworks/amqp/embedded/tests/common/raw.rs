//! A client of bare frames, for what lapin hides or never does.

use amq_protocol::{
    frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame, parse_frame},
    protocol::{
        AMQPClass, BasicProperties, basic, channel,
        connection::{self, AMQPMethod as Connection},
    },
    types::{AMQPValue, FieldTable},
};
use polyport_amqp_embedded::EmbeddedBroker;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use super::within;

pub(crate) const FRAME_MAX: u32 = 4_096;

pub(crate) struct Raw<S = TcpStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
    /// The size of the largest frame that has come.
    pub(crate) largest: usize,
}

impl Raw {
    pub(crate) async fn dial(broker: &EmbeddedBroker) -> Self {
        let stream = TcpStream::connect(broker.local_addr().unwrap()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// An open connection with an open channel 1.
    pub(crate) async fn open(broker: &EmbeddedBroker, heartbeat: u16) -> Self {
        Self::open_with(broker, heartbeat, &[]).await
    }

    /// The same by a client with capabilities.
    pub(crate) async fn open_with(
        broker: &EmbeddedBroker,
        heartbeat: u16,
        capabilities: &[&str],
    ) -> Self {
        let stream = Self::dial(broker).await.stream;
        Self::open_over(stream, heartbeat, capabilities).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), largest: 0 }
    }

    /// The same over any stream.
    pub(crate) async fn open_over(stream: S, heartbeat: u16, capabilities: &[&str]) -> Self {
        let mut raw = Self::over(stream);
        raw.bytes(b"AMQP\0\0\x09\x01").await;
        assert!(matches!(raw.control().await, Connection::Start(_)));
        let mut start_ok = start_ok("PLAIN");
        start_ok.client_properties = properties(capabilities);
        raw.say(Connection::StartOk(start_ok)).await;
        assert!(matches!(raw.control().await, Connection::Tune(_)));
        raw.say(Connection::TuneOk(tune_ok(FRAME_MAX, heartbeat))).await;
        raw.say(Connection::Open(connection::Open { virtual_host: "/".into() })).await;
        assert!(matches!(raw.control().await, Connection::OpenOk(_)));
        raw.method(1, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await;
        let opened = AMQPClass::Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {}));
        assert_eq!(raw.frame().await, Some(AMQPFrame::Method(1, opened)));
        raw
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn send(&mut self, frame: &AMQPFrame) {
        self.bytes(&encoded(frame)).await;
    }

    pub(crate) async fn method(&mut self, channel: u16, method: AMQPClass) {
        self.send(&AMQPFrame::Method(channel, method)).await;
    }

    pub(crate) async fn basic(&mut self, method: basic::AMQPMethod) {
        self.method(1, AMQPClass::Basic(method)).await;
    }

    pub(crate) async fn say(&mut self, method: Connection) {
        self.method(0, AMQPClass::Connection(method)).await;
    }

    pub(crate) async fn publish(&mut self, key: &str, size: u64, pieces: &[&[u8]]) {
        let publish = basic::Publish { routing_key: key.into(), ..Default::default() };
        self.basic(basic::AMQPMethod::Publish(publish)).await;
        let properties = BasicProperties::default();
        let header = AMQPContentHeader { class_id: 60, body_size: size, properties };
        self.send(&AMQPFrame::Header(1, header)).await;
        for piece in pieces {
            self.send(&AMQPFrame::Body(1, piece.to_vec())).await;
        }
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<AMQPFrame> {
        within(self.read_frame()).await
    }

    /// The next frame, however long it takes.
    pub(crate) async fn read_frame(&mut self) -> Option<AMQPFrame> {
        loop {
            if let Ok((rest, frame)) = parse_frame(self.buffer.as_slice()) {
                let used = self.buffer.len() - rest.len();
                self.largest = self.largest.max(used);
                self.buffer.drain(..used);
                return Some(frame);
            }
            let read = self.stream.read_buf(&mut self.buffer).await;
            if matches!(read, Ok(0) | Err(_)) {
                return None;
            }
        }
    }

    pub(crate) async fn control(&mut self) -> Connection {
        match self.frame().await {
            Some(AMQPFrame::Method(0, AMQPClass::Connection(method))) => method,
            other => panic!("no connection method: {other:?}"),
        }
    }

    /// Waits for the broker's connection.close, answers it, and returns its code.
    pub(crate) async fn closed_with(&mut self) -> u16 {
        loop {
            match self.frame().await {
                Some(AMQPFrame::Method(0, AMQPClass::Connection(Connection::Close(close)))) => {
                    self.say(Connection::CloseOk(connection::CloseOk {})).await;
                    assert_eq!(self.frame().await, None);
                    return close.reply_code;
                }
                Some(_) => {}
                None => panic!("the connection ended without a close"),
            }
        }
    }

    /// Waits for the broker's channel.close on channel 1 and returns its code.
    pub(crate) async fn channel_closed_with(&mut self) -> u16 {
        loop {
            match self.frame().await {
                Some(AMQPFrame::Method(
                    1,
                    AMQPClass::Channel(channel::AMQPMethod::Close(close)),
                )) => return close.reply_code,
                Some(_) => {}
                None => panic!("the connection ended"),
            }
        }
    }
}

pub(crate) fn encoded(frame: &AMQPFrame) -> Vec<u8> {
    gen_frame(frame)(WriteContext::from(Vec::new())).unwrap().into_inner().0
}

pub(crate) fn start_ok(mechanism: &str) -> connection::StartOk {
    connection::StartOk {
        mechanism: mechanism.into(),
        response: "\0somebody\0something".into(),
        locale: "en_US".into(),
        ..Default::default()
    }
}

fn properties(capabilities: &[&str]) -> FieldTable {
    let mut table = FieldTable::default();
    for capability in capabilities {
        table.insert((*capability).into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(table));
    properties
}

pub(crate) fn tune_ok(frame_max: u32, heartbeat: u16) -> connection::TuneOk {
    connection::TuneOk { channel_max: 100, frame_max, heartbeat }
}
