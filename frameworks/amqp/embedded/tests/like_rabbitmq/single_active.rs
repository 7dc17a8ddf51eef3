//! `x-single-active-consumer`: one consumer of many, and who follows it.

use futures_util::StreamExt;
use lapin::{
    Channel, Consumer,
    options::{BasicAckOptions, BasicCancelOptions},
    types::AMQPValue,
};

use crate::{
    common::{consume, next, next_body, publish, within},
    side::{Side, quorum},
};

on_both_brokers!(
    the_first_consumer_gets_all_and_the_others_follow_in_their_order,
    the_next_one_follows_a_channel_and_a_connection_that_ends,
);

const SINGLE: (&str, AMQPValue) = ("x-single-active-consumer", AMQPValue::Boolean(true));

async fn is_silent(consumer: &mut Consumer) -> bool {
    futures_util::poll!(consumer.next()).is_pending()
}

async fn cancel(channel: &Channel, consumer: &Consumer) {
    within(channel.basic_cancel(consumer.tag(), BasicCancelOptions::default())).await.unwrap();
}

async fn handled(consumer: &mut Consumer) -> String {
    let delivery = next(consumer).await;
    within(delivery.ack(BasicAckOptions::default())).await.unwrap();
    String::from_utf8(delivery.data).unwrap()
}

async fn the_first_consumer_gets_all_and_the_others_follow_in_their_order(on: Side) -> Side {
    let queue = on.queue("q", [quorum(), SINGLE]).await;
    let mut first = consume(&on.channel, &queue).await;
    let mut second = consume(&on.channel, &queue).await;
    let mut third = consume(&on.channel, &queue).await;
    for body in ["1", "2", "3"] {
        publish(&on.channel, "", &queue, body).await;
        assert_eq!(handled(&mut first).await, body);
    }
    assert!(is_silent(&mut second).await && is_silent(&mut third).await);
    cancel(&on.channel, &first).await;
    publish(&on.channel, "", &queue, "4").await;
    assert_eq!(handled(&mut second).await, "4");
    let mut late = consume(&on.channel, &queue).await;
    cancel(&on.channel, &second).await;
    publish(&on.channel, "", &queue, "5").await;
    assert_eq!(handled(&mut third).await, "5");
    assert!(is_silent(&mut late).await, "it came last");
    on
}

async fn the_next_one_follows_a_channel_and_a_connection_that_ends(on: Side) -> Side {
    let queue = on.queue("q", [quorum(), SINGLE]).await;
    let active = on.another_connection().await;
    let mut first = consume(&active.create_channel().await.unwrap(), &queue).await;
    let closing = on.another_channel().await;
    let mut second = consume(&closing, &queue).await;
    let mut third = consume(&on.channel, &queue).await;
    publish(&on.channel, "", &queue, "1").await;
    assert_eq!(next_body(&mut first).await, "1");
    within(active.close(200, "".into())).await.unwrap();
    let again = next(&mut second).await;
    assert!(again.redelivered && again.data == b"1");
    within(closing.close(200, "".into())).await.unwrap();
    assert_eq!(handled(&mut third).await, "1");
    on
}
