//! Where messages go that match no binding.

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, ExchangeDeleteOptions},
    types::FieldTable,
};

use crate::{
    common::{bind, exchange, publish, table, text, within},
    side::Side,
};

on_both_brokers!(what_matches_nothing_goes_to_the_alternate_exchange);

async fn what_matches_nothing_goes_to_the_alternate_exchange(on: Side) -> Side {
    let (main, rest) = (on.name("main"), on.name("rest"));
    let (queue, others) = (on.queue("q", []).await, on.queue("others", []).await);
    exchange(&on.channel, &rest, ExchangeKind::Fanout).await;
    let declare = async |arguments: FieldTable| {
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let channel = on.another_channel().await;
        let kind = ExchangeKind::Direct;
        within(channel.exchange_declare(main.as_str().into(), kind, options, arguments)).await
    };
    declare(table([("alternate-exchange", text(&rest))])).await.unwrap();
    assert!(declare(FieldTable::default()).await.is_err(), "it is another exchange without");
    bind(&on.channel, &queue, &main, "known").await;
    bind(&on.channel, &others, &rest, "").await;
    publish(&on.channel, &main, "known", "1").await;
    publish(&on.channel, &main, "unknown", "2").await;
    assert_eq!(on.get(&queue).await.delivery.data, b"1");
    assert_eq!(on.get(&others).await.delivery.data, b"2");
    assert!(on.try_get(&others).await.is_none());
    for exchange in [main.as_str(), rest.as_str()] {
        let deleted = on.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default());
        within(deleted).await.unwrap();
    }
    on
}
