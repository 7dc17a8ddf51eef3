//! One incarnation of a connection to the broker.
//!
//! lapin is the codec and the socket loop. Its own recovery is not used: a connection that is
//! lost is given up whole, and a fresh one is made and set up from our own registry.

use std::{
    future::Future,
    io,
    net::{Shutdown, TcpStream as StdTcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use lapin::{
    AsyncTcpStream, Channel, Connection, ConnectionProperties, ConnectionStatus, ErrorKind, Event,
    uri::AMQPUri,
};
use polyport_bootstrap::Error;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    broker::Broker,
    guard::{self, Guarded},
    settings::AmqpSettings,
};

/// How long the broker may take to answer a method on a connection that is up.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// How long closing a connection or a channel may take.
pub(crate) const CLOSE: Duration = Duration::from_millis(1500);

/// How often the connection's own state is looked at, should no event tell of its loss.
const LOOK: Duration = Duration::from_secs(1);

/// A connection that is up, or was. Dropped, its socket is shut down, which frees whatever lapin
/// still waits for.
#[derive(Debug)]
pub(crate) struct Link {
    connection: Connection,
    lost: watch::Receiver<Option<String>>,
    _watcher: AbortOnDropHandle<()>,
    _socket: KillSwitch,
}

impl Link {
    /// Connects and logs in, within the settings' `connect_timeout`.
    pub(crate) async fn open(
        broker: &Broker,
        purpose: &str,
        settings: &AmqpSettings,
        on_blocked: impl Fn(Option<String>) + Send + 'static,
    ) -> Result<Self, OpenError> {
        let deadline = Instant::now() + settings.connect_timeout;
        let silent = |_| OpenError::Silent(settings.connect_timeout);
        let connecting = TcpStream::connect((broker.host(), broker.port()));
        let stream = timeout_at(deadline, connecting).await.map_err(silent)??;
        stream.set_nodelay(true)?;
        let stream = stream.into_std()?;
        let socket = KillSwitch(stream.try_clone()?);
        let handshake = handshake(broker.uri(settings.heartbeat), stream, purpose);
        let connection = timeout_at(deadline, handshake).await.map_err(silent)??;
        let (lost, watcher) = watch_over(&connection, on_blocked);
        Ok(Self { connection, lost, _watcher: watcher, _socket: socket })
    }

    /// Opens a channel.
    pub(crate) async fn channel(&self) -> Result<Channel, LinkError> {
        answered(self.connection.create_channel()).await
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

/// Shuts the socket down when it is dropped: the one thing that frees lapin's thread wherever it
/// stands.
#[derive(Debug)]
struct KillSwitch(StdTcpStream);

impl Drop for KillSwitch {
    fn drop(&mut self) {
        // It fails where the peer was faster, which is as good.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Lets lapin speak over a socket that is connected already, since it has no timeout of its own.
async fn handshake(
    uri: AMQPUri,
    stream: StdTcpStream,
    purpose: &str,
) -> Result<Connection, lapin::Error> {
    let stream = Arc::new(Mutex::new(Some(stream)));
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("polyport {} ({purpose})", std::process::id()).into());
    let connect = async move |_, _| Ok(take(&stream)?);
    Connection::connector(uri, guard::runtime(), connect, properties).await
}

fn take(stream: &Mutex<Option<StdTcpStream>>) -> io::Result<AsyncTcpStream<Guarded>> {
    let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
    let stream =
        stream.ok_or_else(|| io::Error::other("the connection was lost in its handshake"))?;
    Ok(AsyncTcpStream::Plain(guard::guard(TcpStream::from_std(stream)?)))
}

type Lost = watch::Receiver<Option<String>>;

fn watch_over(
    connection: &Connection,
    on_blocked: impl Fn(Option<String>) + Send + 'static,
) -> (Lost, AbortOnDropHandle<()>) {
    let (sender, lost) = watch::channel(None);
    let (events, status) = (connection.events_listener(), connection.status().clone());
    let watcher = tokio::spawn(async move {
        let reason = until_lost(events, status, on_blocked).await;
        sender.send_replace(Some(reason));
    });
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

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Unreachable(#[from] io::Error),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("{}", describe(.0))]
    Handshake(lapin::Error),
}

impl From<lapin::Error> for LinkError {
    fn from(error: lapin::Error) -> Self {
        Self::Lapin(error)
    }
}

impl From<lapin::Error> for OpenError {
    fn from(error: lapin::Error) -> Self {
        Self::Handshake(error)
    }
}

impl OpenError {
    /// The report of a start that failed for it; `key` is where the URL stands.
    pub(crate) fn report(self, broker: &Broker, key: &str) -> Error {
        let address = broker.address();
        match self.reply_code() {
            Some(403) => Error::connection(format!(
                "the AMQP broker at {address} refuses user \"{}\" or its password",
                broker.user(),
            ))
            .advise(format!("correct user and password in {key}")),
            Some(530) => Error::connection(format!(
                "the AMQP broker at {address} lets user \"{}\" into no virtual host \"{}\"",
                broker.user(),
                broker.vhost(),
            ))
            .advise(format!(
                "correct the path of {key} (/ is written %2f), or create the virtual host and \
                 grant the user access to it",
            )),
            _ => Error::connection(format!("the AMQP broker at {address} cannot be reached"))
                .advise(format!("start the broker, or set {key} to where it is")),
        }
        .caused_by(self)
    }

    /// The broker's reply code (AMQP 0-9-1, "Constants"), where it has spoken.
    fn reply_code(&self) -> Option<u16> {
        match self {
            Self::Handshake(error) => match error.kind() {
                ErrorKind::ProtocolError(error) => Some(error.get_id()),
                _ => None,
            },
            _ => None,
        }
    }
}
