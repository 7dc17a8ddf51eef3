//! Asks the broker for many things in one go.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use futures_util::future::{MaybeDone, maybe_done};
use lapin::{
    Channel,
    options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};

use super::{
    DeclareError, Exchange, Queue, arguments::Arguments, binding::Binding, refused::Undeclared,
};
use crate::connection::{CLOSE, Link, LinkError, answered, settled};

/// How many things are asked for before the first answer is waited for.
const AT_ONCE: usize = 64;

/// One thing that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'p> {
    Exchange(&'p Exchange),
    ExchangeBinding(&'p Exchange, &'p Binding),
    Queue(&'p Queue),
    QueueBinding(&'p Queue, &'p Binding),
}

/// Asks on a channel that is up, and collects what is refused.
pub(super) struct Asking<'l> {
    link: &'l Link,
    /// Whether it is only looked for.
    passive: bool,
    channel: Option<Channel>,
    refused: Vec<Undeclared>,
}

impl<'l> Asking<'l> {
    /// Declares what it asks for.
    pub(super) fn on(link: &'l Link) -> Self {
        Self { link, passive: false, channel: None, refused: Vec::new() }
    }

    /// Looks whether it is there.
    pub(super) fn passively_on(link: &'l Link) -> Self {
        Self { passive: true, ..Self::on(link) }
    }

    /// Asks for all of these. A refusal costs the channel only, and what belongs to what is refused
    /// is not asked for; whatever else fails ends the asking.
    pub(super) async fn ask_for(mut self, mut asks: VecDeque<Ask<'_>>) -> Result<(), DeclareError> {
        while !asks.is_empty() {
            let (done, asked) = self.ask_for_some(asks.iter().copied().take(AT_ONCE)).await;
            asks.drain(..done);
            if let Err(error) = asked
                && let Some(refused) = asks.pop_front()
            {
                self.refuse(refused, error).await?;
                asks.retain(|ask| !ask.is_part_of(refused));
            }
        }
        self.end().await
    }

    /// How many of these the broker has done, and why it has not done the next one. It answers in
    /// the order in which it is asked, and nothing more once it has closed the channel: what comes
    /// behind the first that fails was not looked at.
    async fn ask_for_some(
        &mut self,
        asks: impl Iterator<Item = Ask<'_>>,
    ) -> (usize, Result<(), LinkError>) {
        let passive = self.passive;
        match self.channel().await {
            Ok(channel) => in_one_go(asks.map(|ask| ask.of(channel, passive))).await,
            Err(error) => (0, Err(error)),
        }
    }

    async fn channel(&mut self) -> Result<&Channel, LinkError> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.link.channel().await?,
        };
        Ok(self.channel.insert(channel))
    }

    async fn refuse(&mut self, ask: Ask<'_>, error: LinkError) -> Result<(), DeclareError> {
        let refused = Undeclared { what: ask.to_string(), error, passive: self.passive };
        let goes_on = refused.is_refusal();
        self.refused.push(refused);
        if let Some(channel) = self.channel.take() {
            settled(&channel).await;
        }
        if goes_on { Ok(()) } else { Err(DeclareError(std::mem::take(&mut self.refused))) }
    }

    async fn end(self) -> Result<(), DeclareError> {
        if let Some(channel) = self.channel {
            let closing = answered(channel.close(200, "OK".into()));
            let _ = tokio::time::timeout(CLOSE, closing).await;
        }
        if self.refused.is_empty() { Ok(()) } else { Err(DeclareError(self.refused)) }
    }
}

impl<'p> Ask<'p> {
    /// A queue, then its bindings.
    pub(super) fn with_bindings(queue: &'p Queue) -> impl Iterator<Item = Self> {
        let bindings = queue.bindings.iter().map(|binding| Self::QueueBinding(queue, binding));
        std::iter::once(Self::Queue(queue)).chain(bindings)
    }

    pub(super) fn bindings_of(exchange: &'p Exchange) -> impl Iterator<Item = Self> {
        exchange.bindings.iter().map(|binding| Self::ExchangeBinding(exchange, binding))
    }

    fn is_part_of(self, whole: Self) -> bool {
        match (self, whole) {
            (Self::ExchangeBinding(bound, _), Self::Exchange(exchange)) => {
                bound.name == exchange.name
            }
            (Self::QueueBinding(bound, _), Self::Queue(queue)) => bound.name == queue.name,
            _ => false,
        }
    }

    async fn of(self, channel: &Channel, passive: bool) -> lapin::Result<()> {
        match self {
            Self::Exchange(exchange) => declare_exchange(channel, exchange, passive).await,
            Self::ExchangeBinding(exchange, to) => bind_exchange(channel, exchange, to).await,
            Self::Queue(queue) => declare_queue(channel, queue, passive).await,
            Self::QueueBinding(queue, to) => bind_queue(channel, queue, to).await,
        }
    }
}

/// As reports name it.
impl fmt::Display for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, name, to) = match self {
            Self::Exchange(exchange) => return exchange.fmt(f),
            Self::Queue(queue) => return queue.fmt(f),
            Self::ExchangeBinding(exchange, to) => ("exchange", &exchange.name, to),
            Self::QueueBinding(queue, to) => ("queue", &queue.name, to),
        };
        let Binding { exchange, routing_key: key, .. } = to;
        write!(f, "binding of {what} \"{name}\" to exchange \"{exchange}\" with \"{key}\"")
    }
}

/// Sends all before it waits for the first answer. How many went well, and why the next one did not.
async fn in_one_go<A>(asks: impl Iterator<Item = A>) -> (usize, Result<(), LinkError>)
where
    A: Future<Output = lapin::Result<()>>,
{
    let mut asked: Vec<_> = asks.map(|ask| Box::pin(maybe_done(ask))).collect();
    // lapin sends when it is polled first: so they go in their order.
    poll_fn(|cx| {
        for ask in &mut asked {
            let _ = ask.as_mut().poll(cx);
        }
        Poll::Ready(())
    })
    .await;
    for (done, ask) in asked.iter_mut().enumerate() {
        // Each answer has its time: a broker that does much takes long for all of it.
        if let Err(error) = answered(outcome(ask.as_mut())).await {
            return (done, Err(error));
        }
    }
    (asked.len(), Ok(()))
}

async fn outcome<A>(mut ask: Pin<&mut MaybeDone<A>>) -> lapin::Result<()>
where
    A: Future<Output = lapin::Result<()>>,
{
    ask.as_mut().await;
    ask.take_output().unwrap_or(Ok(()))
}

async fn declare_exchange(
    channel: &Channel,
    exchange: &Exchange,
    passive: bool,
) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        passive,
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        ..ExchangeDeclareOptions::default()
    };
    let name = exchange.name.as_str().into();
    let arguments = arguments(&exchange.arguments, passive);
    channel.exchange_declare(name, exchange.kind.lapin(), options, arguments).await
}

async fn declare_queue(channel: &Channel, queue: &Queue, passive: bool) -> lapin::Result<()> {
    let options = QueueDeclareOptions {
        passive,
        durable: queue.durable,
        exclusive: queue.exclusive,
        auto_delete: queue.auto_delete,
        ..QueueDeclareOptions::default()
    };
    let name = queue.name.as_str().into();
    let arguments = arguments(&queue.arguments, passive);
    channel.queue_declare(name, options, arguments).await.map(drop)
}

/// Whoever only looks says nothing of them.
fn arguments(arguments: &Arguments, passive: bool) -> FieldTable {
    if passive { FieldTable::default() } else { arguments.table() }
}

async fn bind_exchange(
    channel: &Channel,
    exchange: &Exchange,
    binding: &Binding,
) -> lapin::Result<()> {
    let (name, options) = (exchange.name.as_str().into(), ExchangeBindOptions::default());
    let (to, key) = (binding.exchange.as_str().into(), binding.routing_key.as_str().into());
    channel.exchange_bind(name, to, key, options, binding.arguments.table()).await
}

async fn bind_queue(channel: &Channel, queue: &Queue, binding: &Binding) -> lapin::Result<()> {
    let (name, options) = (queue.name.as_str().into(), QueueBindOptions::default());
    let (to, key) = (binding.exchange.as_str().into(), binding.routing_key.as_str().into());
    channel.queue_bind(name, to, key, options, binding.arguments.table()).await
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use lapin::ErrorKind;
    use tokio::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn all_are_sent_in_their_order_before_the_first_answer_is_waited_for() {
        let (sent, answers) = (Mutex::new(Vec::new()), Barrier::new(3));
        let asks = (0..3).map(async |number| {
            sent.lock().expect("sound").push(number);
            answers.wait().await;
            Ok(())
        });
        assert!(matches!(in_one_go(asks).await, (3, Ok(()))));
        assert_eq!(*sent.lock().expect("sound"), [0, 1, 2]);
    }

    #[tokio::test]
    async fn the_first_that_fails_is_told_with_how_many_went_well_before_it() {
        let asks = (0..5).map(async |number| match number {
            0 | 1 => Ok(()),
            _ => Err(ErrorKind::ChannelsLimitReached.into()),
        });
        assert!(matches!(in_one_go(asks).await, (2, Err(LinkError::Lapin(_)))));
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_has_its_own_time_and_one_that_does_not_come_ends_it() {
        let asks = [8, 16, 24, 60].into_iter().map(async |seconds| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(())
        });
        assert!(matches!(in_one_go(asks).await, (3, Err(LinkError::Silent(_)))));
    }
}
