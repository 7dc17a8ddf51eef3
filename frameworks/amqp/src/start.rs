//! The first connections, and what a broker that is away does to the start.

use std::time::Duration;

use futures_util::future::{OptionFuture, try_join};
use polyport_bootstrap::{Backoff, Error, Result, StartupSettings};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    connection::Link,
    dialer::{DialError, Dialer},
    monitor::Side,
    settings::{AmqpSettings, StartMode},
};

/// The connections that a start has made.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) publish: Link,
    /// Where something is consumed.
    pub(crate) consume: Option<Link>,
}

impl Dialer {
    /// Connects as the settings' `start` has it; none where the process starts without the broker.
    ///
    /// # Errors
    /// Returns why the process cannot start.
    pub(crate) async fn first(&self, consumes: bool) -> Result<Option<Links>> {
        for queue in self.plan.forgetful() {
            tracing::warn!(
                queue,
                "this quorum queue has no dead-letter exchange: what the broker has given out too \
                 often (20 times in RabbitMQ 4, where nothing else is declared) it drops"
            );
        }
        match self.settings.start {
            StartMode::Fail => match self.links(consumes).await {
                Ok(links) => Ok(Some(links)),
                Err((_, error)) => Err(error.report(self)),
            },
            StartMode::Wait => self.wait(consumes).await.map(Some),
            StartMode::Degraded => match self.links(consumes).await {
                Ok(links) => Ok(Some(links)),
                Err((_, error)) if error.is_refusal() => Err(error.report(self)),
                Err((side, error)) => {
                    tracing::warn!(broker = %self.broker, %error, "starting without the broker");
                    self.not_connected(side, error, &mut None);
                    Ok(None)
                }
            },
        }
    }

    async fn wait(&self, consumes: bool) -> Result<Links> {
        let limit = self.settings.start_timeout;
        let deadline = Instant::now() + limit;
        let (mut backoff, mut last) = (Backoff::default(), None);
        loop {
            match timeout_at(deadline, self.links(consumes)).await {
                Ok(Ok(links)) => return Ok(links),
                Ok(Err((_, error))) if error.is_refusal() => return Err(error.report(self)),
                Ok(Err((side, error))) => {
                    if last.is_none() {
                        let broker = &self.broker;
                        tracing::warn!(%broker, %error, ?limit, "waiting for the broker");
                    }
                    self.monitor.failed(side, error.to_string());
                    last = Some(error);
                }
                Err(_) => return Err(self.waited(last)),
            }
            let pause = sleep(backoff.next_delay());
            if timeout_at(deadline, pause).await.is_err() {
                return Err(self.waited(last));
            }
        }
    }

    fn waited(&self, last: Option<DialError>) -> Error {
        let limit = self.settings.start_timeout;
        let key = format!("{}.start_timeout", self.section);
        match last {
            Some(error) => error.report(self).context(format!("waited {limit:?} ({key})")),
            None => Error::connection(format!(
                "the AMQP broker at {} has not answered within {limit:?} ({key})",
                self.broker.address(),
            ))
            .advise(format!("start the broker, or raise {key}")),
        }
    }

    /// Connects both sides at once. Where there is nothing to publish over, nothing is said of the
    /// other.
    async fn links(&self, consumes: bool) -> Result<Links, (Side, DialError)> {
        let publish =
            async { self.dial_to_publish().await.map_err(|error| (Side::Publish, error)) };
        let consume = async {
            let connecting = OptionFuture::from(consumes.then(|| self.connect(Side::Consume)));
            Ok(connecting.await)
        };
        let (publish, consume) = try_join(publish, consume).await?;
        tracing::info!(node = publish.node().address(), "connected to publish");
        let owned = OptionFuture::from(consume.map(|link| self.with_exclusive(link))).await;
        let consume = owned.transpose().map_err(|error| (Side::Consume, error))?;
        if let Some(link) = &consume {
            tracing::info!(node = link.node().address(), "connected to consume");
        }
        Ok(Links { publish, consume })
    }
}

/// A start that waits longer than its stage may take would be cut without a word of the broker.
///
/// # Errors
/// Returns a configuration error that names both keys.
pub(crate) fn check_wait(
    settings: &AmqpSettings,
    section: &str,
    startup: &StartupSettings,
) -> Result<()> {
    let (waits, stage): (Duration, Duration) = (settings.start_timeout, startup.bind);
    if settings.start != StartMode::Wait || waits < stage {
        return Ok(());
    }
    let key = format!("{section}.start_timeout");
    let message = format!("{key} ({waits:?}) is not shorter than startup.bind ({stage:?})");
    let advice = format!("raise startup.bind, or wait for less long by {key}");
    Err(Error::configuration(message).advise(advice))
}
