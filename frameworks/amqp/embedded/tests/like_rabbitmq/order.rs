//! The order in which messages and consumers take their turns.

use lapin::{
    BasicProperties,
    options::{BasicConsumeOptions, BasicNackOptions},
    types::AMQPValue,
};

use crate::{
    common::{next_body, publish, publish_with, table, within},
    side::{Side, quorum},
};

on_both_brokers!(
    higher_priorities_come_first,
    a_refused_message_comes_back_to_its_place_and_in_a_quorum_queue_to_the_end,
    a_consumer_of_higher_priority_is_served_first,
);

async fn taken(on: &Side, queue: &str, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        bodies.push(String::from_utf8(on.get(queue).await.delivery.data).unwrap());
    }
    bodies
}

async fn higher_priorities_come_first(on: Side) -> Side {
    let queue = on.queue("q", [("x-max-priority", AMQPValue::LongInt(5))]).await;
    publish(&on.channel, "", &queue, "none").await;
    for (body, priority) in [("three", 3), ("nine", 9), ("five", 5), ("zero", 0)] {
        let properties = BasicProperties::default().with_priority(priority);
        publish_with(&on.channel, "", &queue, body.as_bytes(), properties).await;
    }
    on.until_ready(&queue, 5).await;
    assert_eq!(taken(&on, &queue, 5).await, ["nine", "five", "three", "none", "zero"]);
    on
}

async fn a_refused_message_comes_back_to_its_place_and_in_a_quorum_queue_to_the_end(
    on: Side,
) -> Side {
    let classic = on.queue("classic", []).await;
    let limited = [quorum(), ("x-delivery-limit", AMQPValue::LongInt(9))];
    let limited = on.queue("limited", limited).await;
    let quorum = on.queue("quorum", [quorum()]).await;
    for (queue, expected) in
        [(classic, ["1", "2", "3"]), (limited, ["1", "2", "3"]), (quorum, ["2", "3", "1"])]
    {
        for body in ["1", "2", "3"] {
            publish(&on.channel, "", &queue, body).await;
        }
        on.until_ready(&queue, 3).await;
        let first = on.get(&queue).await;
        let options = BasicNackOptions { requeue: true, ..Default::default() };
        within(first.delivery.nack(options)).await.unwrap();
        on.until_ready(&queue, 3).await;
        assert_eq!(taken(&on, &queue, 3).await, expected, "{queue}");
    }
    on
}

async fn a_consumer_of_higher_priority_is_served_first(on: Side) -> Side {
    let queue = on.queue("q", []).await;
    let mut consumers = Vec::new();
    for priority in [0, 5] {
        let arguments = table([("x-priority", AMQPValue::LongInt(priority))]);
        let options = BasicConsumeOptions::default();
        let consumed =
            on.channel.basic_consume(queue.as_str().into(), "".into(), options, arguments);
        consumers.push(within(consumed).await.unwrap());
    }
    for body in ["1", "2", "3"] {
        publish(&on.channel, "", &queue, body).await;
        assert_eq!(next_body(&mut consumers[1]).await, body);
    }
    on
}
