//! `x-expires`: a queue that nobody uses goes.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::types::AMQPValue;
use tokio::time::sleep;

use crate::{
    common::{consume, table, within},
    side::{Side, declare, quorum},
};

on_both_brokers!(a_queue_goes_when_it_was_unused_for_long_enough, whoever_uses_a_queue_keeps_it);

const EXPIRES: (&str, AMQPValue) = ("x-expires", AMQPValue::LongInt(400));

async fn until_gone(on: &Side, queue: &str) {
    // Asking is using: each question waits for longer than the queue may be unused.
    let asked = async {
        loop {
            sleep(Duration::from_millis(600)).await;
            if !on.exists(queue).await {
                return;
            }
        }
    };
    within(asked).await;
}

async fn a_queue_goes_when_it_was_unused_for_long_enough(on: Side) -> Side {
    let classic = on.queue("classic", [EXPIRES]).await;
    let quorum = on.queue("quorum", [EXPIRES, quorum()]).await;
    until_gone(&on, &classic).await;
    until_gone(&on, &quorum).await;
    on
}

async fn whoever_uses_a_queue_keeps_it(on: Side) -> Side {
    let consumed = on.queue("consumed", [EXPIRES]).await;
    let declared = on.queue("declared", [EXPIRES]).await;
    let channel = on.another_channel().await;
    let mut consumer = consume(&channel, &consumed).await;
    for _ in 0..8 {
        sleep(Duration::from_millis(100)).await;
        declare(&on.channel, &declared, table([EXPIRES])).await.unwrap();
    }
    assert!(futures_util::poll!(consumer.next()).is_pending(), "the queue has gone");
    within(channel.close(200, "".into())).await.unwrap();
    until_gone(&on, &consumed).await;
    on
}
