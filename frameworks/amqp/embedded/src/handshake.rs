//! How a connection begins: protocol header, start, tune, open (AMQP 0-9-1, section 2.2.4).

use std::{io, time::Duration};

use amq_protocol::{
    protocol::{
        AMQPClass,
        connection::{AMQPMethod, Open, OpenOk, Start, StartOk, Tune, TuneOk},
    },
    types::{AMQPValue, FieldTable},
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    arguments::bytes,
    codec::{Frame, PROTOCOL_HEADER},
    connection::End,
    exception::{Exception, ReplyCode},
    transport::{FrameReader, FrameWriter},
};

/// The largest frame that is offered, and taken before the client has answered.
pub(crate) const FRAME_MAX: u32 = 131_072;

/// The smallest `frame_max` that the specification allows.
const FRAME_MIN: u32 = 4_096;

const CHANNEL_MAX: u16 = 2_047;

/// What broker and client have agreed on.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) channel_max: u16,
    /// The longest silence on a connection; each side speaks at least twice as often.
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) vhost: String,
    /// Whether the client understands that the broker cancels a consumer.
    pub(crate) notify_cancel: bool,
    /// Whether the client understands that the broker takes no messages for a while.
    pub(crate) notify_blocked: bool,
    /// What the client calls the connection.
    pub(crate) name: String,
}

/// Leads a new connection to its opening; the broker offers this `heartbeat`, in seconds.
///
/// # Errors
/// How the connection ends instead.
pub(crate) async fn negotiate<R, W>(
    reader: &mut FrameReader<R>,
    writer: &mut FrameWriter<W>,
    heartbeat: u16,
) -> Result<Terms, End>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if reader.raw().await? != PROTOCOL_HEADER {
        writer.raw(&PROTOCOL_HEADER).await?;
        return Err(End::Gone);
    }
    writer.control(AMQPMethod::Start(start())).await?;
    let start_ok = expect(reader, |method| match method {
        AMQPMethod::StartOk(ok) => Some(ok),
        _ => None,
    });
    let start_ok = start_ok.await?;
    check_login(&start_ok)?;
    let tune = Tune { channel_max: CHANNEL_MAX, frame_max: FRAME_MAX, heartbeat };
    writer.control(AMQPMethod::Tune(tune)).await?;
    agree(reader, writer, &start_ok).await
}

async fn agree<R, W>(
    reader: &mut FrameReader<R>,
    writer: &mut FrameWriter<W>,
    start_ok: &StartOk,
) -> Result<Terms, End>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let tune_ok = expect(reader, |method| match method {
        AMQPMethod::TuneOk(ok) => Some(ok),
        _ => None,
    });
    let tune_ok = tune_ok.await?;
    check_tuned(&tune_ok)?;
    let frame_max = tune_ok.frame_max as usize;
    reader.set_frame_max(frame_max);
    writer.set_frame_max(frame_max);
    let open = expect(reader, |method| match method {
        AMQPMethod::Open(open) => Some(open),
        _ => None,
    });
    let Open { virtual_host } = open.await?;
    writer.control(AMQPMethod::OpenOk(OpenOk {})).await?;
    Ok(Terms {
        channel_max: tune_ok.channel_max,
        heartbeat: (tune_ok.heartbeat > 0).then(|| Duration::from_secs(tune_ok.heartbeat.into())),
        vhost: virtual_host.into(),
        notify_cancel: has_capability(&start_ok.client_properties, "consumer_cancel_notify"),
        notify_blocked: has_capability(&start_ok.client_properties, "connection.blocked"),
        name: connection_name(&start_ok.client_properties),
    })
}

/// Waits for the one method that may come now.
async fn expect<R: AsyncRead + Unpin, T>(
    reader: &mut FrameReader<R>,
    wanted: impl Fn(AMQPMethod) -> Option<T>,
) -> Result<T, End> {
    loop {
        match reader.take()? {
            None => reader.fill().await?,
            Some(Frame::Heartbeat) => {}
            Some(Frame::Method(0, AMQPClass::Connection(AMQPMethod::Close(_)))) => {
                return Err(End::Asked);
            }
            Some(Frame::Method(0, AMQPClass::Connection(method))) => {
                return wanted(method).ok_or_else(|| out_of_order().into());
            }
            Some(_) => return Err(out_of_order().into()),
        }
    }
}

fn out_of_order() -> Exception {
    ReplyCode::CommandInvalid.because("the connection is not open yet")
}

/// Any user and any password will do, as long as the mechanism is followed (RFC 4616).
fn check_login(start_ok: &StartOk) -> Result<(), Exception> {
    let mechanism = start_ok.mechanism.as_str();
    if mechanism != "PLAIN" {
        let text = format!("mechanism '{mechanism}' is not supported; PLAIN is");
        return Err(ReplyCode::CommandInvalid.because(text));
    }
    if start_ok.response.as_bytes().split(|byte| *byte == 0).count() != 3 {
        let text = "Login was refused using authentication mechanism PLAIN: malformed response";
        return Err(ReplyCode::AccessRefused.because(text));
    }
    Ok(())
}

fn check_tuned(tune_ok: &TuneOk) -> Result<(), Exception> {
    if !(FRAME_MIN..=FRAME_MAX).contains(&tune_ok.frame_max) {
        let got = tune_ok.frame_max;
        let text =
            format!("negotiated frame_max = {got} is not between {FRAME_MIN} and {FRAME_MAX}");
        return Err(ReplyCode::NotAllowed.because(text));
    }
    if !(1..=CHANNEL_MAX).contains(&tune_ok.channel_max) {
        let got = tune_ok.channel_max;
        let text = format!("negotiated channel_max = {got} is not between 1 and {CHANNEL_MAX}");
        return Err(ReplyCode::NotAllowed.because(text));
    }
    Ok(())
}

fn start() -> Start {
    Start {
        version_major: 0,
        version_minor: 9,
        server_properties: server_properties(),
        mechanisms: "PLAIN".into(),
        locales: "en_US".into(),
    }
}

/// What the broker can do, under RabbitMQ's names.
fn server_properties() -> FieldTable {
    let mut capabilities = FieldTable::default();
    for name in [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ] {
        capabilities.insert(name.into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    properties.insert("product".into(), text("polyport embedded AMQP broker"));
    properties.insert("version".into(), text(env!("CARGO_PKG_VERSION")));
    properties.insert("platform".into(), text("Rust"));
    properties.insert("information".into(), text("In memory, for development and tests"));
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    properties
}

fn has_capability(client_properties: &FieldTable, name: &str) -> bool {
    let capabilities = client_properties.inner().get("capabilities");
    let capabilities = capabilities.and_then(AMQPValue::as_field_table);
    capabilities.and_then(|table| table.inner().get(name)?.as_bool()).unwrap_or(false)
}

fn connection_name(client_properties: &FieldTable) -> String {
    let name = client_properties.inner().get("connection_name").and_then(bytes);
    String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}
