//! AMQP 0-9-1 for polyport: operations consume from queues, and application code publishes, with
//! a broker that may come and go (RabbitMQ; lapin is the codec).
//!
//! A module declares exchanges and queues and consumes from them
//! ([`AmqpModule`], [`AmqpRoutes`], [`Consumer`]); operations take their input from the message's
//! body (JSON, protobuf, the data of a [`CloudEvent`], or as it is), and [`Delivery`] for what else
//! it carries; [`AmqpApp`] publishes with confirmation, in the modes of [`PublishMode`], and makes
//! requests.
//!
//! What becomes of a message depends on how its operation ends, unless its consumer has another
//! [`AckPolicy`] or is [for each instance](Consumer::each_instance):
//!
//! | outcome | the message |
//! |---|---|
//! | a value | acknowledged; items and bytes that would come bit by bit are not made |
//! | a value or a fault, and the message has `reply_to` | answered there, and acknowledged |
//! | a fault that another attempt cannot mend (a body that does not bind, an unknown type, too) | parked in `<queue>.dead`, with the reason in its headers |
//! | a fault that may pass by itself (`INTERNAL`, `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`) | comes again after each delay of `amqp.retry.delays` ([`Consumer::retry`]), then parked |
//! | waits too long for its turn (`amqp.ack_timeout`) | goes back to its queue |
//! | cancelled, or cut at the end of a stop | goes back to its queue; after a second, unless the process stops |
//!
//! A message is acknowledged only when that is done: it is handled at least once, and twice where
//! the connection is lost before the broker has read the acknowledgement. Its message id tells
//! duplicates.

mod adapter;
mod app;
mod attempts;
mod broker;
mod cloud_events;
mod commands;
mod connection;
mod consumer;
mod delivery;
mod dialer;
mod dispatch;
mod fan_out;
mod framework;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod headers;
mod metrics;
mod monitor;
mod own_queue;
mod pace;
mod pause;
#[cfg(feature = "embedded")]
mod pipe;
mod protobuf;
mod publisher;
mod pulse;
mod redrive;
mod refusal;
mod request;
mod routes;
mod settings;
mod settlement;
mod silence;
mod socket;
mod source;
mod start;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod topology;
mod transport;
mod waiting;

pub use app::AmqpApp;
pub use attempts::Attempt;
pub use broker::BrokerUrls;
pub use cloud_events::CloudEvent;
pub use consumer::{AckPolicy, Consumer, OrderKey};
pub use delivery::Delivery;
pub use dispatch::Types;
pub use framework::AmqpFramework;
pub use protobuf::{Converted, FromProtobuf, Ignored, Protobuf, ProtobufConsumers, ProtobufTypes};
pub use publisher::{Message, OutboxState, PublishError, PublishMode, PublishSettings};
pub use request::{Reply, ReplyItems};
pub use routes::{AmqpModule, AmqpRoutes, PROTOCOL};
pub use settings::{AmqpSettings, BrokerHealth, ConsumerSettings, RetrySettings, StartMode};
pub use settlement::Settlement;
pub use state::{AmqpState, Blocked};
pub use tls::AmqpTlsSettings;
pub use topology::{
    BindingSettings, DeadLetterSettings, Exchange, ExchangeKind, ExchangeSettings, Overflow, Queue,
    QueueKind, QueueSettings, TopologyMode,
};
