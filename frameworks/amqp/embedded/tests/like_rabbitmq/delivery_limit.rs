//! `x-delivery-limit` of quorum queues, and the header that counts.

use lapin::{
    message::Delivery,
    options::{BasicAckOptions, BasicNackOptions},
    types::AMQPValue,
};

use crate::{
    common::{consume, next, publish, table, text, within},
    side::{Side, deaths, header, quorum},
};

on_both_brokers!(
    a_get_shows_the_count_from_the_first_time_on,
    each_return_is_counted_and_one_too_many_is_a_death,
    a_connection_that_ends_counts_too,
    without_a_dead_letter_exchange_the_message_is_gone,
);

fn count(delivery: &Delivery) -> Option<&AMQPValue> {
    header(delivery, "x-delivery-count")
}

/// What a consumer sees of it: nothing the first time.
fn counted(returned: i64) -> Option<AMQPValue> {
    (returned > 0).then_some(AMQPValue::LongLongInt(returned))
}

async fn refuse(delivery: &Delivery) {
    let options = BasicNackOptions { requeue: true, ..Default::default() };
    within(delivery.nack(options)).await.unwrap();
}

async fn limited(on: &Side) -> (String, String) {
    let dead = on.queue("dead", []).await;
    let work = [
        quorum(),
        ("x-delivery-limit", AMQPValue::LongInt(2)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&dead)),
    ];
    (on.queue("work", work).await, dead)
}

async fn each_return_is_counted_and_one_too_many_is_a_death(on: Side) -> Side {
    let (work, dead) = limited(&on).await;
    publish(&on.channel, "", &work, "poison").await;
    let mut consumer = consume(&on.channel, &work).await;
    for returned in 0..3 {
        let delivery = next(&mut consumer).await;
        assert_eq!(count(&delivery), counted(returned).as_ref());
        assert_eq!(delivery.redelivered, returned > 0);
        refuse(&delivery).await;
    }
    let parked = on.get(&dead).await.delivery;
    assert_eq!(count(&parked), None);
    let keys = AMQPValue::FieldArray(vec![text(&work)].into());
    let death = table([
        ("count", AMQPValue::LongLongInt(1)),
        ("reason", text("delivery_limit")),
        ("queue", text(&work)),
        ("exchange", text("")),
        ("routing-keys", keys),
    ]);
    assert_eq!(deaths(&parked), [death]);
    assert_eq!(header(&parked, "x-first-death-reason"), Some(&text("delivery_limit")));
    on
}

async fn a_get_shows_the_count_from_the_first_time_on(on: Side) -> Side {
    let (work, _) = limited(&on).await;
    publish(&on.channel, "", &work, "message").await;
    for returned in 0..3 {
        let delivery = on.get(&work).await.delivery;
        assert_eq!(count(&delivery), Some(&AMQPValue::LongLongInt(returned)));
        refuse(&delivery).await;
    }
    on
}

async fn a_connection_that_ends_counts_too(on: Side) -> Side {
    let (work, dead) = limited(&on).await;
    publish(&on.channel, "", &work, "poison").await;
    for returned in 0..3 {
        let connection = on.another_connection().await;
        let mut consumer = consume(&connection.create_channel().await.unwrap(), &work).await;
        let delivery = next(&mut consumer).await;
        assert_eq!(count(&delivery), counted(returned).as_ref());
        within(connection.close(200, "".into())).await.unwrap();
    }
    assert_eq!(on.get(&dead).await.delivery.data, b"poison");
    on
}

async fn without_a_dead_letter_exchange_the_message_is_gone(on: Side) -> Side {
    let work = on.queue("work", [quorum(), ("x-delivery-limit", AMQPValue::LongInt(0))]).await;
    publish(&on.channel, "", &work, "poison").await;
    publish(&on.channel, "", &work, "good").await;
    let mut consumer = consume(&on.channel, &work).await;
    refuse(&next(&mut consumer).await).await;
    let good = next(&mut consumer).await;
    assert_eq!(good.data, b"good");
    good.ack(BasicAckOptions::default()).await.unwrap();
    on.until_ready(&work, 0).await;
    on
}
