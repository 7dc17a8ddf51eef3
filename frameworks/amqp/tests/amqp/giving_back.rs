//! What goes back to its queue when a consumer ends.

use std::sync::Arc;

use polyport_amqp::{AckPolicy, AmqpApp, Consumer, Delivery, Message, OrderKey, Queue};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};
use tokio::time::timeout;

use crate::support::{
    LIMIT, Probe, TestBroker, Text, text, until_connected, until_logged, until_told,
};

on_both_brokers! {
    what_goes_back_at_a_stop_keeps_its_order_and_is_counted_once,
    a_consumer_that_is_being_opened_does_not_hold_up_the_stop,
    a_reply_that_cannot_be_sent_is_counted_where_its_request_is_acknowledged_before,
}

async fn wait(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<Text, Fault> {
    probe.report(input.clone(), delivery);
    probe.pass().await;
    Ok(input)
}

async fn what_goes_back_at_a_stop_keeps_its_order_and_is_counted_once(broker: Arc<TestBroker>) {
    const ALL: usize = 12;
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        let declared = Queue::quorum(&consumed).delivery_limit(20).dead_letter("", "amq.none");
        let consumer = Consumer::new(&consumed).concurrency(1).prefetch(5);
        routes.queue(declared).consume(consumer.in_order_of(OrderKey::RoutingKey), wait)
    });
    let app = app.await.expect("starts");
    for number in 0..ALL {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    assert_eq!(probe.next().await.text, "0");
    let closing = tokio::spawn(app.close());
    let depth = u32::try_from(ALL - 1).expect("few");
    let waiting = async { while broker.client.queue_depth(&queue).await < depth {} };
    timeout(LIMIT, waiting).await.expect("given back");
    probe.open(1);
    closing.await.expect("no panic").expect("a clean stop");
    let mut counts = Vec::new();
    for number in 1..ALL {
        let message = broker.client.get(&queue).await.expect("given back");
        assert_eq!(message.json::<Text>(), text(&number.to_string()), "in its order");
        counts.extend(message.header("x-delivery-count"));
    }
    assert!(counts.iter().all(|count| count == "1" || count == "0"), "{counts:?}");
    broker.delete(&queue).await;
}

async fn a_consumer_that_is_being_opened_does_not_hold_up_the_stop(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, wait));
    let operator = app.await.expect("starts");
    operator.close().await.expect("a clean stop");
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, wait));
    let app = app.config("amqp.topology", "none").await.expect("starts");
    broker.client.delete(&queue).await;
    until_told(&app, "amqp consuming", Some(&queue)).await;
    broker.proxy.freeze(true);
    // Whether the connections can be closed in order is another matter.
    let report = app.close().await.err().map(|error| format!("{error:?}")).unwrap_or_default();
    assert!(!report.contains("shutdown.intake"), "{report}");
    broker.proxy.freeze(false);
    broker.delete(&queue).await;
}

async fn a_reply_that_cannot_be_sent_is_counted_where_its_request_is_acknowledged_before(
    broker: Arc<TestBroker>,
) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.consume(Consumer::new(&consumed).ack(AckPolicy::Before), wait)
    });
    let app = app.config("amqp.publish.timeout", "200ms").await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let request = Message::json("", &queue, &text("request")).expect("JSON");
    broker.client.send(request.reply_to("nobody.waits")).await;
    probe.next().await;
    broker.proxy.cut_off();
    // As long as that is not known, a reply may be on its way.
    until_logged(&app, "side=publish", "is lost").await;
    probe.open(1);
    let counted = async {
        while amqp.dropped_messages() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, counted).await.expect("counted");
    broker.proxy.mend();
    until_connected(&app, true).await;
    app.close().await.expect("a clean stop");
    assert_eq!(amqp.dropped_messages(), 1);
    assert_eq!(broker.client.queue_depth(&queue).await, 0, "it was acknowledged");
    broker.delete(&queue).await;
}
