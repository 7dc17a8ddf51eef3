//! Keeps a channel going, over connections that come and go.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lapin::{BasicProperties, Channel, Confirmation, options::BasicPublishOptions};
use polyport_bootstrap::Backoff;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Joined, Opened};
use crate::{connection::describe, dialer::Dialer};

/// How many messages may be on their way to the broker.
const WINDOW: usize = 256;
/// How long what waits may take to be sent when the process ends.
const FLUSH: Duration = Duration::from_secs(1);

/// Owns a channel for the life of the process.
#[derive(Debug)]
pub(crate) struct FanOutTask {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) opened: Opened,
    pub(crate) stop: CancellationToken,
}

impl FanOutTask {
    /// Sends and receives until it is stopped; begins with a connection that is up, if there is
    /// one.
    pub(crate) async fn run(mut self, first: Option<Joined>) {
        let (mut next, mut backoff, stop) = (first, Backoff::default(), self.stop.clone());
        let joined = loop {
            let mut joined = match next.take() {
                Some(joined) => joined,
                None => match stop.run_until_cancelled(self.rejoin(&mut backoff)).await {
                    Some(joined) => joined,
                    None => return,
                },
            };
            match stop.run_until_cancelled(self.serve(&mut joined)).await {
                Some(reason) => self.lost(&reason),
                None => break joined,
            }
        };
        if timeout(FLUSH, self.flush(&joined)).await.is_err() {
            let exchange = &*self.opened.exchange;
            tracing::debug!(exchange, "the last messages for the other instances are lost");
        }
        self.opened.tell_dropped();
        if let Err(error) = joined.link.close().await {
            tracing::debug!(%error, "the connection to the other instances was cut");
        }
    }

    /// Gives why the connection is of no use any more.
    async fn serve(&mut self, joined: &mut Joined) -> String {
        let Joined { link, channel, deliveries } = joined;
        let mut lost = pin!(link.lost());
        let mut flight = FuturesUnordered::new();
        loop {
            tokio::select! {
                reason = &mut lost => return reason,
                delivery = deliveries.next() => match delivery {
                    Some(Ok(delivery)) => self.receive(delivery.data.into()),
                    Some(Err(error)) => return describe(&error),
                    None => return "the broker ended the consumer".to_owned(),
                },
                Some(confirmed) = flight.next(), if !flight.is_empty() => {
                    if let Err(error) = confirmed {
                        return describe(&error);
                    }
                }
                Some(message) = self.opened.next(), if flight.len() < WINDOW => {
                    self.opened.tell_dropped();
                    match publish(channel, &self.opened.exchange, &message).await {
                        Ok(confirm) => flight.push(confirm),
                        Err(error) => return describe(&error),
                    }
                }
            }
        }
    }

    fn receive(&self, message: Bytes) {
        let receive = &self.opened.receive;
        if catch_unwind(AssertUnwindSafe(|| receive(message))).is_err() {
            let exchange = &*self.opened.exchange;
            tracing::error!(exchange, "what takes the messages of other instances panicked");
        }
    }

    /// Sends what waits, and returns when nothing is on its way any more.
    async fn flush(&mut self, joined: &Joined) {
        self.opened.outbox.close();
        let mut flight = FuturesUnordered::new();
        while let Some(message) = self.opened.next().await {
            let (channel, exchange) = (joined.channel.clone(), Arc::clone(&self.opened.exchange));
            // Nothing waits for the one before: on a busy machine each turn takes its time.
            flight.push(async move { publish(&channel, &exchange, &message).await?.await });
            if flight.len() == WINDOW {
                flight.next().await;
            }
        }
        while flight.next().await.is_some() {}
    }

    fn lost(&self, reason: &str) {
        let (broker, exchange) = (&self.dialer.broker, &*self.opened.exchange);
        tracing::warn!(
            %broker, exchange, reason,
            "the connection to the other instances is lost; connecting anew"
        );
    }

    async fn rejoin(&self, backoff: &mut Backoff) -> Joined {
        let (broker, exchange) = (&self.dialer.broker, &*self.opened.exchange);
        loop {
            sleep(backoff.next_delay()).await;
            match Joined::join(&self.dialer, exchange).await {
                Ok(joined) => {
                    tracing::info!(%broker, exchange, "connected to the other instances again");
                    return joined;
                }
                Err(error) => tracing::debug!(%broker, exchange, %error, "not connected"),
            }
        }
    }
}

/// Gives what tells that the broker has taken it.
async fn publish(
    channel: &Channel,
    exchange: &str,
    message: &[u8],
) -> lapin::Result<BoxFuture<'static, lapin::Result<Confirmation>>> {
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    let sent = channel.basic_publish(exchange.into(), "".into(), options, message, properties);
    Ok(sent.await?.boxed())
}
