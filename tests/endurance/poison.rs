//! Many messages, of which some can never be handled, and some not at the first attempt.

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use garde::Validate;
use polyport::{
    amqp::{Delivery, Message},
    prelude::*,
    testing::{AmqpTest, TestApp, create_bootstrap},
};
use serde::{Deserialize, Serialize};

use crate::{
    faults::blocking,
    ledger::{Ledger, Verdict},
    rabbitmq::Owned,
};

/// How many messages; 200,000 is what was measured.
const MESSAGES: &str = "POLYPORT_TEST_MESSAGES";
const FEW: usize = 2_000;
const QUEUE: &str = "endurance.many";
/// The throughput with poison, at least, of what it is without.
const WITHIN: f64 = 0.8;

#[derive(Debug, Serialize, Deserialize, Validate)]
struct Work {
    #[garde(skip)]
    number: usize,
    /// Fails so often before it succeeds; none never does.
    #[garde(skip)]
    fails: Option<u32>,
}

impl Work {
    fn clean(number: usize) -> Self {
        Self { number, fails: Some(0) }
    }

    /// One in a hundred is poison; five fail once or twice.
    fn mixed(number: usize) -> Self {
        let fails = match number % 100 {
            0 => None,
            20 | 40 | 60 => Some(1),
            80 | 99 => Some(2),
            _ => Some(0),
        };
        Self { number, fails }
    }
}

async fn work(
    Inject(ledger): Inject<Ledger>,
    Input(work): Input<Work>,
    delivery: Delivery,
) -> Result<(), Fault> {
    match work.fails {
        None => Err(Fault::invalid_argument("POISON", "can never be handled")),
        Some(fails) if delivery.attempt() <= fails => {
            Err(Fault::unavailable("NOT_YET", "may be handled later"))
        }
        Some(_) => {
            ledger.saw(work.number);
            Ok(())
        }
    }
}

async fn start(url: &str, ledger: &Arc<Ledger>, consumes: bool) -> TestApp {
    let ledger = Arc::clone(ledger);
    let module = module("many", move |m| {
        m.provide_value(Arc::clone(&ledger)).amqp(|q| match consumes {
            true => q.consume(QUEUE, work),
            false => q.queue(Queue::new(QUEUE)),
        });
        Ok(())
    });
    let bootstrap = Bootstrap::new().load(AmqpFramework::new()).module(module);
    let app = create_bootstrap(bootstrap)
        .config("amqp.url", url)
        .config("amqp.retry.delays", ["100ms", "200ms"])
        .config("amqp.concurrency", 64);
    app.await.expect("starts")
}

/// Fills the queue, and then has it handled; gives how long that took.
async fn run(url: &str, count: usize, make: fn(usize) -> Work) -> (Arc<Ledger>, Duration) {
    let ledger = Arc::new(Ledger::default());
    let filling = start(url, &ledger, false).await;
    let amqp = filling.app::<AmqpApp>().expect("is loaded").clone();
    let publish = |number: usize| {
        let (amqp, ledger) = (amqp.clone(), &ledger);
        async move {
            assert_eq!(ledger.next(), number);
            let message = Message::json("", QUEUE, &make(number)).expect("is JSON");
            let outcome = amqp.publish_message(message.message_id(number.to_string())).await;
            assert_eq!(Verdict::of(&outcome), Verdict::Confirmed, "{outcome:?}");
            if make(number).fails.is_some() {
                ledger.told(number, Verdict::Confirmed);
            }
        }
    };
    stream::iter(0..count).map(publish).buffered(256).for_each(async |()| {}).await;
    filling.close().await.expect("stops cleanly");

    let began = Instant::now();
    let handling = start(url, &ledger, true).await;
    ledger.until_complete().await;
    let took = began.elapsed();
    handling.close().await.expect("stops cleanly");
    (ledger, took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_accounted_for_and_poison_holds_up_nobody() {
    let Some(broker) = blocking!(Owned::start()) else { return };
    let count = env::var(MESSAGES).map_or(FEW, |count| count.parse().expect("is a number"));
    let (_, clean) = run(&broker.url, count, Work::clean).await;
    let (ledger, mixed) = run(&broker.url, count, Work::mixed).await;

    let figures = ledger.figures();
    figures.assert_nothing_lost();
    assert!(figures.duplicates.is_empty(), "{figures}");
    let poison = count.div_ceil(100);
    assert_eq!(figures.confirmed, count - poison);
    let ratio = clean.as_secs_f64() / mixed.as_secs_f64();
    eprintln!(
        "{count} messages, {poison} of them poison: {figures}; {:.0} a second, {:.0} without \
         poison, ratio {ratio:.2}",
        count as f64 / mixed.as_secs_f64(),
        count as f64 / clean.as_secs_f64(),
    );
    parked_once_each(&broker.url, count).await;
    // The last retries wait for their delay: with few messages that is all the time there is.
    assert!(count == FEW || ratio >= WITHIN, "{ratio}");
}

async fn parked_once_each(url: &str, count: usize) {
    let app = start(url, &Arc::default(), false).await;
    let client = app.amqp();
    let mut parked = Vec::new();
    while let Some(message) = client.get(&format!("{QUEUE}.dead")).await {
        assert_eq!(message.header("x-exception-reason").as_deref(), Some("POISON"));
        parked.push(message.json::<Work>().number);
    }
    parked.sort_unstable();
    let expected: Vec<_> =
        (0..count).filter(|number| Work::mixed(*number).fails.is_none()).collect();
    assert_eq!(parked, expected);
    app.close().await.expect("stops cleanly");
}
