//! One incarnation of a connection to the broker.
//!
//! lapin is the codec and the socket loop. Its own recovery is not used: a connection that is
//! lost is given up whole, and a fresh one is made and set up from our own registry.

use std::{
    future::Future,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use lapin::{
    AsyncTcpStream, Channel, Connection, ConnectionProperties, ConnectionStatus, ErrorKind, Event,
    uri::AMQPUri,
};
use polyport_bootstrap::framework::{Leftover, Mark, Witness, at_home};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    broker::{Broker, Node},
    guard::{self, Answers, Deliveries, Guarded, Outlet, Reader, Taps, Voice},
    pace::Pace,
    refusal::{NodeError, OpenError},
    settings::AmqpSettings,
    socket::{KillSwitch, Socket},
};

/// How long the broker may take to answer a method on a connection that is up.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// How long closing a connection or a channel may take.
pub(crate) const CLOSE: Duration = Duration::from_millis(1500);

/// What the broker says where somebody wants a connection closed (AMQP 0-9-1, section 1.2).
pub(crate) const CONNECTION_FORCED: u16 = 320;

/// How often the connection's own state is looked at, should no event tell of its loss.
const LOOK: Duration = Duration::from_secs(1);

/// A connection that is up, or was. Dropped, its socket is shut down, which frees whatever lapin
/// still waits for.
#[derive(Debug)]
pub(crate) struct Link {
    connection: Connection,
    node: Node,
    taps: Taps,
    outlet: Outlet,
    lost: watch::Receiver<Option<String>>,
    _watcher: AbortOnDropHandle<()>,
    _kill_switch: KillSwitch,
    _mark: Mark,
}

impl Link {
    /// Connects to the first node that lets us in, and logs in: within the settings'
    /// `connect_timeout`, of which each node gets its share.
    pub(crate) async fn open(
        broker: &Broker,
        purpose: &str,
        settings: &AmqpSettings,
    ) -> Result<Self, OpenError> {
        Self::open_told(broker, purpose, settings, Reader::Lapin, drop).await
    }

    /// The same; `on_blocked` is told why the broker takes no messages, and when it does again.
    pub(crate) async fn open_told(
        broker: &Broker,
        purpose: &str,
        settings: &AmqpSettings,
        reader: Reader,
        on_blocked: impl Fn(Option<String>) + Clone + Send + 'static,
    ) -> Result<Self, OpenError> {
        let (share, mut failures) = (settings.connect_timeout / broker.size(), Vec::new());
        for node in broker.in_turn() {
            match Self::reach(node, purpose, settings, share, reader, on_blocked.clone()).await {
                Ok(link) => return Ok(link),
                Err(error) => failures.push((node.clone(), error)),
            }
        }
        Err(OpenError(failures))
    }

    /// Connects to this node.
    pub(crate) async fn open_at(
        node: &Node,
        purpose: &str,
        settings: &AmqpSettings,
    ) -> Result<Self, NodeError> {
        let limit = settings.connect_timeout;
        Self::reach(node, purpose, settings, limit, Reader::Lapin, drop).await
    }

    async fn reach(
        node: &Node,
        purpose: &str,
        settings: &AmqpSettings,
        limit: Duration,
        reader: Reader,
        on_blocked: impl Fn(Option<String>) + Send + 'static,
    ) -> Result<Self, NodeError> {
        let deadline = Instant::now() + limit;
        let silent = |_| NodeError::Silent(limit);
        let socket = timeout_at(deadline, Socket::connect(node)).await.map_err(silent)??;
        let Socket { reading, writing, kill_switch } = socket;
        let taps = Taps::default();
        // Who keeps pace sees what lapin has read, not what a task still has for it.
        let reader = if node.pace().is_kept() { Reader::Lapin } else { reader };
        let (stream, outlet) = guard::guard(reading, writing, taps.clone(), reader);
        let uri = node.uri(settings.heartbeat);
        let handshake = handshake(uri, stream, purpose, node.pace());
        let connection = timeout_at(deadline, handshake).await.map_err(silent)??;
        let (lost, watcher) = watch_over(&connection, on_blocked);
        let mark = Witness::here()
            .mark(Leftover::Connection, || format!("to the broker {node} ({purpose})"));
        Ok(Self {
            connection,
            node: node.clone(),
            taps,
            outlet,
            lost,
            _watcher: watcher,
            _kill_switch: kill_switch,
            _mark: mark,
        })
    }

    /// The node at the other end.
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Opens a channel.
    pub(crate) async fn channel(&self) -> Result<Channel, LinkError> {
        answered(self.connection.create_channel()).await
    }

    /// Takes what will be delivered on a channel, past lapin: its consumer tells only how that ends,
    /// and only after the last delivery has come.
    pub(crate) fn deliveries(&self, channel: &Channel) -> Deliveries {
        self.taps.deliveries(channel.id())
    }

    /// Takes what the broker will say of messages that are published on a channel past lapin.
    pub(crate) fn answers(&self, channel: &Channel) -> Answers {
        self.taps.answers(channel.id())
    }

    /// Speaks on a channel past lapin.
    pub(crate) fn voice(&self, channel: &Channel) -> Voice {
        self.outlet.voice(channel.id())
    }

    pub(crate) fn is_up(&self) -> bool {
        self.connection.status().connected()
    }

    /// The longest frame that both sides agreed on, in bytes.
    pub(crate) fn frame_max(&self) -> u32 {
        self.connection.configuration().frame_max()
    }

    /// Waits until the connection is lost, and says why.
    pub(crate) async fn lost(&self) -> String {
        let mut lost = self.lost.clone();
        match lost.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the connection is gone".to_owned(),
        }
    }

    /// Closes in order; the socket is shut down in any case when this is dropped.
    pub(crate) async fn close(&self) -> Result<(), LinkError> {
        match timeout(CLOSE, self.connection.close(200, "OK".into())).await {
            Ok(closed) => Ok(closed?),
            Err(_) => Err(LinkError::Silent(CLOSE)),
        }
    }
}

/// Lets lapin speak over a socket that is connected already, since it has no timeout of its own.
async fn handshake(
    uri: AMQPUri,
    stream: Guarded,
    purpose: &str,
    pace: Pace,
) -> Result<Connection, lapin::Error> {
    let stream = Mutex::new(Some(stream));
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("polyport {} ({purpose})", std::process::id()).into());
    let connect = async move |_, _| Ok(take(&stream)?);
    Connection::connector(uri, guard::runtime(pace), connect, properties).await
}

fn take(stream: &Mutex<Option<Guarded>>) -> io::Result<AsyncTcpStream<Guarded>> {
    let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
    let stream =
        stream.ok_or_else(|| io::Error::other("the connection was lost in its handshake"))?;
    Ok(AsyncTcpStream::Plain(stream))
}

type Lost = watch::Receiver<Option<String>>;

fn watch_over(
    connection: &Connection,
    on_blocked: impl Fn(Option<String>) + Send + 'static,
) -> (Lost, AbortOnDropHandle<()>) {
    let (sender, lost) = watch::channel(None);
    let (events, status) = (connection.events_listener(), connection.status().clone());
    let watcher = tokio::spawn(at_home(async move {
        let reason = until_lost(events, status, on_blocked).await;
        sender.send_replace(Some(reason));
    }));
    (lost, AbortOnDropHandle::new(watcher))
}

async fn until_lost(
    events: impl Stream<Item = Event> + Send + 'static,
    status: ConnectionStatus,
    on_blocked: impl Fn(Option<String>),
) -> String {
    let mut events = Box::pin(events);
    let mut last = "the broker closed the connection".to_owned();
    while status.connected() {
        match timeout(LOOK, events.next()).await {
            Ok(Some(Event::Error(error))) => last = describe(&error),
            Ok(Some(Event::ConnectionBlocked(reason))) => {
                tracing::warn!(reason, "the broker takes no messages now");
                on_blocked(Some(reason));
            }
            Ok(Some(Event::ConnectionUnblocked)) => {
                tracing::info!("the broker takes messages again");
                on_blocked(None);
            }
            Ok(None) => break,
            Ok(Some(_)) | Err(_) => {}
        }
    }
    last
}

/// Awaits the broker's answer to a method, for as long as a living broker may take.
pub(crate) async fn answered<T>(
    answer: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, LinkError> {
    match timeout(ANSWER, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(LinkError::Silent(ANSWER)),
    }
}

/// Waits until a channel that has failed is closed on both sides: dropped before that, it takes
/// the whole connection with it.
pub(crate) async fn settled(channel: &Channel) {
    let closing = async {
        while channel.status().closing() || channel.status().connected() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let _ = timeout(CLOSE, closing).await;
}

/// lapin's error in the words of the broker, where it has spoken.
pub(crate) fn describe(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        ErrorKind::IOError(error) => error.to_string(),
        ErrorKind::MissingHeartbeatError => "the broker is silent: no heartbeat".to_owned(),
        ErrorKind::ParsingError(_) => "what it sends is not AMQP 0-9-1".to_owned(),
        _ => error.to_string(),
    }
}

/// Why something on a connection failed. lapin's own words for it say the same again, and so are
/// no source.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("{}", describe(.0))]
    Lapin(lapin::Error),
    #[error("the broker did not answer within {0:?}")]
    Silent(Duration),
}

impl LinkError {
    /// Whether the broker refused what was asked for, and would again: it closed the channel or the
    /// connection for it.
    pub(crate) fn is_refusal(&self) -> bool {
        const INTERNAL_ERROR: u16 = 541;
        let Self::Lapin(error) = self else { return false };
        matches!(
            error.kind(),
            ErrorKind::ProtocolError(error)
                if !matches!(error.get_id(), CONNECTION_FORCED | INTERNAL_ERROR)
        )
    }
}

impl From<lapin::Error> for LinkError {
    fn from(error: lapin::Error) -> Self {
        Self::Lapin(error)
    }
}
