//! Request and reply over `amq.rabbitmq.reply-to`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{Fixture, code, confirms, connect, consume, next, publish_with, queue, within};
use lapin::{
    BasicProperties, Confirmation, Consumer,
    options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};

const REPLY_TO: &str = "amq.rabbitmq.reply-to";

async fn consume_replies(channel: &lapin::Channel, no_ack: bool) -> lapin::Result<Consumer> {
    let options = BasicConsumeOptions { no_ack, ..Default::default() };
    within(channel.basic_consume(REPLY_TO.into(), "".into(), options, FieldTable::default())).await
}

fn request(id: &str) -> BasicProperties {
    BasicProperties::default().with_reply_to(REPLY_TO.into()).with_correlation_id(id.into())
}

fn reply_address(properties: &BasicProperties) -> ShortString {
    properties.reply_to().clone().unwrap()
}

#[tokio::test]
async fn a_request_is_answered_straight_to_the_channel_that_sent_it() {
    let on = Fixture::new().await;
    queue(&on.channel, "rpc", []).await;
    let mut replies = consume_replies(&on.channel, true).await.unwrap();
    publish_with(&on.channel, "", "rpc", b"question", request("7")).await;

    let server = connect(&on.broker).await.create_channel().await.unwrap();
    let asked = next(&mut consume(&server, "rpc").await).await;
    let address = reply_address(&asked.properties);
    assert!(address.as_str().starts_with("amq.rabbitmq.reply-to."));
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let waiting = server.queue_declare(address.clone(), passive, FieldTable::default());
    assert_eq!(within(waiting).await.unwrap().consumer_count(), 1);
    confirms(&server).await;
    let properties = BasicProperties::default().with_correlation_id("7".into());
    let options = BasicPublishOptions::default();
    let sent = server.basic_publish("".into(), address, options, b"answer", properties);
    assert_eq!(within(within(sent).await.unwrap()).await.unwrap(), Confirmation::Ack(None));

    let reply = next(&mut replies).await;
    assert_eq!(reply.data, b"answer");
    assert_eq!(reply.properties.correlation_id(), &Some("7".into()));
}

#[tokio::test]
async fn a_reply_that_nobody_waits_for_is_unroutable() {
    let on = Fixture::new().await;
    queue(&on.channel, "rpc", []).await;
    let client = on.another_channel().await;
    let _replies = consume_replies(&client, true).await.unwrap();
    publish_with(&client, "", "rpc", b"question", request("7")).await;
    let asked = next(&mut consume(&on.channel, "rpc").await).await;
    within(client.close(200, "".into())).await.unwrap();
    confirms(&on.channel).await;
    let address = reply_address(&asked.properties);
    let properties = BasicProperties::default();
    let sent = publish_with(&on.channel, "", address.as_str(), b"late", properties).await;
    assert!(matches!(sent, Confirmation::Ack(Some(_))), "{sent:?}");
}

#[tokio::test]
async fn the_rules_of_the_reply_consumer_are_kept() {
    let on = Fixture::new().await;
    assert_eq!(code(consume_replies(&on.channel, false).await), 406);
    let channel = on.another_channel().await;
    let _replies = consume_replies(&channel, true).await.unwrap();
    assert_eq!(code(consume_replies(&channel, true).await), 406);
    let channel = on.another_channel().await;
    confirms(&channel).await;
    let options = Default::default();
    let sent = channel.basic_publish("".into(), "rpc".into(), options, b"", request("1"));
    assert_eq!(code(within(within(sent).await.unwrap()).await), 406);
}
