//! What happens to a single broker.

use crate::{
    load::{CLASSIC, Load, QUORUM},
    rabbitmq::Owned,
    rounds,
};

/// One queue of each kind.
const QUEUES: &[&str] = &[CLASSIC, QUORUM];

macro_rules! blocking {
    ($($call:tt)*) => { tokio::task::block_in_place(|| $($call)*) };
}
pub(crate) use blocking;

async fn under_load(what: &str, mut fault: impl AsyncFnMut(&mut Owned, &Load)) {
    let Some(mut broker) = blocking!(Owned::start()) else { return };
    let load = Load::start(std::slice::from_ref(&broker.url), QUEUES).await;
    load.until_served().await;
    for round in 1..=rounds() {
        fault(&mut broker, &load).await;
        load.until_served().await;
        eprintln!("{what}, round {round}: {}", load.ledger.figures());
    }
    load.finish(&format!("{} × {what}", rounds())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_and_started_again_loses_nothing() {
    under_load("kill -9 and restart", async |broker, load| {
        broker.until_kept(QUORUM).await;
        broker.kill();
        load.until_connected(false).await;
        blocking!(broker.restart());
        load.until_connected(true).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_closed_by_force_lose_nothing() {
    under_load("forced close", async |broker, load| {
        blocking!(broker.ctl(&["close_all_connections", "endurance"]));
        load.until_connected(true).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_frozen_past_the_heartbeat_loses_nothing() {
    under_load("freeze past the heartbeat", async |broker, load| {
        broker.freeze();
        load.until_connected(false).await;
        broker.thaw();
        load.until_connected(true).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_short_of_memory_loses_nothing() {
    under_load("memory alarm", async |broker, load| {
        blocking!(broker.ctl(&["set_vm_memory_high_watermark", "0.00001"]));
        load.until_blocked(true).await;
        blocking!(broker.ctl(&["set_vm_memory_high_watermark", "0.4"]));
        load.until_blocked(false).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_under_its_consumer_is_served_again() {
    let Some(broker) = blocking!(Owned::start()) else { return };
    let mut load = Load::start(std::slice::from_ref(&broker.url), QUEUES).await;
    load.until_served().await;
    // What is in a queue goes with it, and so nothing may be.
    load.quiet().await;
    load.ledger.until_complete().await;
    for _ in 0..rounds() {
        for queue in QUEUES {
            blocking!(broker.ctl(&["delete_queue", queue]));
        }
        load.until_served().await;
    }
    load.finish(&format!("{} × queue deleted", rounds())).await;
}
