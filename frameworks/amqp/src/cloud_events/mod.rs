//! CloudEvents 1.0, in messages of both modes of its AMQP binding.
//!
//! That binding is made for AMQP 1.0. In 0-9-1 its attributes stand in headers of the same names,
//! which is how RabbitMQ converts one to the other.

mod binary;
mod event;
mod structured;

use polyport_bootstrap::{
    Error, Fault,
    operation::{Context, FromContext, InputSlot, NoPayload, OperationInfo},
};

pub use self::event::CloudEvent;
pub(crate) use self::{binary::header_name, structured::Opened, structured::open};
use crate::{delivery::Delivery, routes::PROTOCOL};

/// The version that is understood.
pub(crate) const VERSION: &str = "1.0";

/// The reason of what calls itself a CloudEvent and is none.
pub(crate) const MALFORMED: &str = "MALFORMED_CLOUD_EVENT";

/// The type of the event that a message is.
pub(crate) fn type_of(delivery: &Delivery) -> Option<&str> {
    match delivery.opened() {
        Some(opened) => opened.event().map(|event| event.event_type.as_str()),
        None => binary::attribute(delivery, "type"),
    }
}

/// What is wrong with the event that the body of a message is.
pub(crate) fn fault_of(delivery: &Delivery) -> Option<Fault> {
    delivery.opened()?.fault().map(malformed)
}

fn malformed(what: &str) -> Fault {
    Fault::invalid_argument(MALFORMED, format!("the message is no CloudEvent: {what}"))
}

/// The event that a message is, in whichever mode.
pub(crate) fn event_of(delivery: &Delivery) -> Result<CloudEvent, Fault> {
    if let Some(fault) = fault_of(delivery) {
        return Err(fault);
    }
    match delivery.opened().and_then(Opened::event) {
        Some(event) => Ok(event.clone()),
        None => binary::read(delivery).map_err(|what| malformed(&what)),
    }
}

/// The event that the message of this call is.
impl FromContext for CloudEvent {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let missing = || Error::other("the call came by no queue");
        event_of(context.extension::<Delivery>().ok_or_else(missing)?)
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "CloudEvent");
    }
}
