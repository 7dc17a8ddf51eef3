//! An open connection: its channels, and the frames that come in on them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use amq_protocol::{
    frame::AMQPContentHeader,
    protocol::{
        AMQPClass,
        basic::{self, AMQPMethod as Basic},
        channel::{self, AMQPMethod as Channel},
        connection::{self, AMQPMethod as Connection},
    },
};
use bytes::Bytes;
use tokio::{io::AsyncRead, sync::watch, time::timeout};

use crate::{
    channel::{ChannelKey, Outbox},
    codec::{BASIC_CLASS, Frame},
    connection::{End, Failure},
    connections::{Line, Order},
    content::Content,
    exception::{Exception, ReplyCode, shorten},
    handshake::Terms,
    transport::FrameReader,
    vhost::Vhost,
};

/// Where a channel is in its conversation.
#[derive(Debug)]
enum Phase {
    Open,
    /// A publish has come, its content is coming.
    Publishing(Box<Content>),
    /// The broker has closed the channel and waits for the answer.
    Closing,
}

/// An open connection. Dropping it gives back everything that it held.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
    vhost: Arc<Vhost>,
    outbox: Outbox,
    terms: Terms,
    channels: HashMap<u16, Phase>,
    /// Why publishers are held up, while they are.
    alarm: watch::Receiver<Option<String>>,
    /// Whether a publish has come while an alarm was raised.
    held_up: bool,
    told_blocked: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.vhost.run(|state| state.close_connection(self.id));
    }
}

impl Session {
    pub(crate) fn new(
        id: u64,
        vhost: Arc<Vhost>,
        outbox: Outbox,
        terms: Terms,
        alarm: watch::Receiver<Option<String>>,
    ) -> Self {
        let channels = HashMap::new();
        let (held_up, told_blocked) = (false, false);
        Self { id, vhost, outbox, terms, channels, alarm, held_up, told_blocked }
    }

    /// Receives frames until the connection ends.
    pub(crate) async fn run<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut FrameReader<R>,
        line: &mut Line,
    ) -> End {
        let patience = self.terms.heartbeat.map_or(Duration::MAX, |heartbeat| heartbeat * 2);
        loop {
            if let Err(end) = self.receive_all(reader) {
                return end;
            }
            let blocked = self.is_blocked();
            self.tell_blocked(blocked);
            tokio::select! {
                biased;
                () = line.stop.cancelled() => {
                    let text = "broker forced connection closure with reason 'shutdown'";
                    return ReplyCode::ConnectionForced.because(text).into();
                }
                Some(order) = line.orders.recv() => if let Err(end) = self.obey(order) {
                    return end;
                },
                Ok(()) = self.alarm.changed() => {}
                filled = timeout(patience, reader.fill()), if !blocked => match filled {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return End::Gone,
                }
            }
        }
    }

    /// Whether nothing is to be read for now. As in RabbitMQ, that is from the first publish on
    /// that comes during an alarm, and before its content, until the alarm is over.
    fn is_blocked(&mut self) -> bool {
        self.held_up = self.held_up && self.alarm.borrow().is_some();
        self.held_up
    }

    /// Tells the client when it is blocked, and when it is no longer.
    fn tell_blocked(&mut self, blocked: bool) {
        if blocked == self.told_blocked || !self.terms.notify_blocked {
            return;
        }
        self.told_blocked = blocked;
        let reason = self.alarm.borrow().as_deref().map(shorten).unwrap_or_default();
        let method = match blocked {
            true => Connection::Blocked(connection::Blocked { reason }),
            false => Connection::Unblocked(connection::Unblocked {}),
        };
        self.outbox.method(0, AMQPClass::Connection(method));
    }

    fn obey(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Close(reason) => Err(ReplyCode::ConnectionForced.because(reason).into()),
            Order::CloseChannels(reason) => {
                let open = self.channels.iter().filter(|(_, it)| !matches!(it, Phase::Closing));
                let open: Vec<u16> = open.map(|(number, _)| *number).collect();
                let exception = ReplyCode::PreconditionFailed.because(reason);
                for number in open {
                    self.fail_channel(number, &exception, 0, 0);
                }
                Ok(())
            }
        }
    }

    fn receive_all<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut FrameReader<R>,
    ) -> Result<(), End> {
        while !self.is_blocked()
            && let Some(frame) = reader.take()?
        {
            match frame {
                Frame::Heartbeat => {}
                Frame::Method(0, method) => self.control(method)?,
                Frame::Method(number, method) => self.method(number, method)?,
                Frame::Header(number, header) => self.header(number, *header)?,
                Frame::Body(number, body) => self.body(number, &body)?,
            }
        }
        Ok(())
    }

    /// A method on channel 0.
    fn control(&self, method: AMQPClass) -> Result<(), End> {
        let (class_id, method_id) = ids(&method);
        match method {
            AMQPClass::Connection(Connection::Close(_)) => Err(End::Asked),
            AMQPClass::Connection(Connection::UpdateSecret(_)) => {
                let ok = Connection::UpdateSecretOk(connection::UpdateSecretOk {});
                self.outbox.method(0, AMQPClass::Connection(ok));
                Ok(())
            }
            _ => {
                let text = "this method does not belong on channel 0 of an open connection";
                let exception = ReplyCode::CommandInvalid.because(text);
                Err(End::Failed(Failure { exception, class_id, method_id }))
            }
        }
    }

    fn method(&mut self, number: u16, method: AMQPClass) -> Result<(), End> {
        let ids = ids(&method);
        let result = match (self.channels.get(&number), method) {
            (None, AMQPClass::Channel(Channel::Open(_))) => self.open(number),
            (None, _) => Err(ReplyCode::ChannelError.because("expected 'channel.open'")),
            (Some(Phase::Closing), method) => {
                self.while_closing(number, &method);
                Ok(())
            }
            (Some(Phase::Publishing(_)), _) => {
                let text = "expected the content of a publish, got a method";
                Err(ReplyCode::UnexpectedFrame.because(text))
            }
            (Some(Phase::Open), AMQPClass::Channel(method)) => self.channel(number, method),
            (Some(Phase::Open), AMQPClass::Basic(Basic::Publish(publish))) => {
                self.held_up = self.alarm.borrow().is_some();
                self.channels.insert(number, Phase::Publishing(Box::new(Content::new(publish))));
                Ok(())
            }
            (Some(Phase::Open), method) => {
                let key = self.key(number);
                self.vhost.run(|state| state.handle(key, method))
            }
        };
        self.judge(number, ids, result)
    }

    fn open(&mut self, number: u16) -> Result<(), Exception> {
        let most = self.terms.channel_max;
        if number > most {
            let text = format!("channel {number} is above the negotiated channel_max {most}");
            return Err(ReplyCode::ChannelError.because(text));
        }
        let (key, outbox) = (self.key(number), self.outbox.clone());
        let notify_cancel = self.terms.notify_cancel;
        self.vhost.run(|state| state.open_channel(key, outbox, notify_cancel));
        self.channels.insert(number, Phase::Open);
        self.reply(number, Channel::OpenOk(channel::OpenOk {}));
        Ok(())
    }

    /// A method of the channel class on an open channel.
    fn channel(&mut self, number: u16, method: Channel) -> Result<(), Exception> {
        match method {
            Channel::Close(_) => {
                let key = self.key(number);
                self.vhost.run(|state| state.close_channel(key));
                self.channels.remove(&number);
                self.reply(number, Channel::CloseOk(channel::CloseOk {}));
                Ok(())
            }
            Channel::Flow(channel::Flow { active: true }) => {
                self.reply(number, Channel::FlowOk(channel::FlowOk { active: true }));
                Ok(())
            }
            // RabbitMQ's answer too: prefetch is what slows deliveries down.
            Channel::Flow(_) => Err(ReplyCode::NotImplemented.because("active=false")),
            Channel::Open(_) => Err(ReplyCode::ChannelError.because("second 'channel.open' seen")),
            _ => Err(ReplyCode::CommandInvalid.because("a client does not send this method")),
        }
    }

    /// A channel that the broker has closed: everything is discarded until the client knows.
    fn while_closing(&mut self, number: u16, method: &AMQPClass) {
        match method {
            AMQPClass::Channel(Channel::CloseOk(_)) => {
                self.channels.remove(&number);
            }
            AMQPClass::Channel(Channel::Close(_)) => {
                self.reply(number, Channel::CloseOk(channel::CloseOk {}));
            }
            _ => {}
        }
    }

    fn header(&mut self, number: u16, header: AMQPContentHeader) -> Result<(), End> {
        let result = match self.channels.get_mut(&number) {
            Some(Phase::Closing) => return Ok(()),
            Some(Phase::Publishing(content)) => content.begin(header),
            _ => Err(ReplyCode::UnexpectedFrame.because("a content header without a publish")),
        };
        self.progress(number, result)
    }

    fn body(&mut self, number: u16, body: &Bytes) -> Result<(), End> {
        let result = match self.channels.get_mut(&number) {
            Some(Phase::Closing) => return Ok(()),
            Some(Phase::Publishing(content)) => content.extend(body),
            _ => Err(ReplyCode::UnexpectedFrame.because("a content body without a publish")),
        };
        self.progress(number, result)
    }

    /// Publishes when the content is complete.
    fn progress(&mut self, number: u16, complete: Result<bool, Exception>) -> Result<(), End> {
        let result = complete.and_then(|complete| match self.channels.get_mut(&number) {
            Some(phase @ Phase::Publishing(_)) if complete => {
                let Phase::Publishing(content) = std::mem::replace(phase, Phase::Open) else {
                    return Ok(());
                };
                let (publish, properties, body) = content.finish();
                let key = self.key(number);
                self.vhost.run(|state| state.publish(key, publish, properties, body))
            }
            _ => Ok(()),
        });
        self.judge(number, (BASIC_CLASS, basic::Publish::default().get_amqp_method_id()), result)
    }

    /// Turns a soft exception into the end of the channel, a hard one into the connection's.
    fn judge(
        &mut self,
        number: u16,
        (class_id, method_id): (u16, u16),
        result: Result<(), Exception>,
    ) -> Result<(), End> {
        match result {
            Ok(()) => Ok(()),
            Err(exception) if exception.code.is_hard() => {
                Err(End::Failed(Failure { exception, class_id, method_id }))
            }
            Err(exception) => {
                self.fail_channel(number, &exception, class_id, method_id);
                Ok(())
            }
        }
    }

    fn fail_channel(&mut self, number: u16, error: &Exception, class_id: u16, method_id: u16) {
        tracing::warn!(connection = self.id, channel = number, %error, "AMQP channel closed");
        let key = self.key(number);
        self.vhost.run(|state| state.close_channel(key));
        self.channels.insert(number, Phase::Closing);
        let (reply_code, reply_text) = (error.code.code(), error.reply_text());
        let close = channel::Close { reply_code, reply_text, class_id, method_id };
        self.reply(number, Channel::Close(close));
    }

    fn reply(&self, number: u16, method: Channel) {
        self.outbox.method(number, AMQPClass::Channel(method));
    }

    fn key(&self, number: u16) -> ChannelKey {
        ChannelKey { connection: self.id, number }
    }
}

fn ids(method: &AMQPClass) -> (u16, u16) {
    (method.get_amqp_class_id(), method.get_amqp_method_id())
}
