//! Which operation handles a message.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{FutureExt, future::ready};
use polyport_bootstrap::{
    Context, Fault,
    operation::{Bind, Endpoint, IntoReply, Operation},
};

use crate::{cloud_events, delivery::Delivery};

/// What handles the messages of one consumer.
#[derive(Debug, Clone)]
pub(crate) enum Dispatch {
    One(Endpoint),
    ByType(Arc<ByType>),
}

/// Operations by the type of the message.
#[derive(Debug)]
pub(crate) struct ByType {
    types: BTreeMap<Box<str>, Endpoint>,
    /// What handles all others: by default it refuses them.
    otherwise: Endpoint,
}

impl Dispatch {
    /// What handles this message.
    pub(crate) fn to(&self, delivery: &Delivery) -> &Endpoint {
        match self {
            Self::One(endpoint) => endpoint,
            Self::ByType(by) => {
                let known = type_of(delivery).and_then(|name| by.types.get(name));
                known.unwrap_or(&by.otherwise)
            }
        }
    }

    /// The operations; what refuses unknown types is none.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &Endpoint> {
        let (one, by) = match self {
            Self::One(endpoint) => (Some(endpoint), None),
            Self::ByType(by) => (None, Some(by)),
        };
        let typed = by.into_iter().flat_map(|by| {
            let otherwise = Some(&by.otherwise).filter(|endpoint| !is_refusal(endpoint));
            by.types.values().chain(otherwise)
        });
        one.into_iter().chain(typed)
    }

    /// Everything that handles messages, as reports name it: `orders`, `orders order.created`.
    pub(crate) fn routes(&self, consumer: &str) -> Vec<(String, Endpoint)> {
        match self {
            Self::One(endpoint) => vec![(consumer.to_owned(), endpoint.clone())],
            Self::ByType(by) => {
                let typed = by.types.iter();
                let typed = typed.map(|(name, of)| (format!("{consumer} {name}"), of.clone()));
                typed.chain([(format!("{consumer} *"), by.otherwise.clone())]).collect()
            }
        }
    }
}

/// The type that a message names: AMQP's property `type`, or else that of a CloudEvent.
fn type_of(delivery: &Delivery) -> Option<&str> {
    delivery.message_type().or_else(|| cloud_events::type_of(delivery))
}

const REFUSAL: &str = "unknown_type";

fn is_refusal(endpoint: &Endpoint) -> bool {
    endpoint.info().kind() == polyport_bootstrap::operation::OperationKind::Fallback
}

/// Operations by the type of the message, for [`AmqpRoutes::consume_types`](crate::AmqpRoutes::consume_types).
#[derive(Debug, Default)]
pub struct Types {
    types: Vec<(String, Endpoint)>,
    otherwise: Option<Endpoint>,
}

impl Types {
    /// Has `operation` handle the messages of this type; of two for one type the start tells.
    #[must_use]
    pub fn on<M: 'static, Op>(self, name: impl Into<String>, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        self.on_endpoint(name.into(), Endpoint::json(operation))
    }

    /// Has `operation` handle the messages of all other types, and those without one. Where nobody
    /// does, they are parked.
    #[must_use]
    pub fn otherwise<M: 'static, Op>(mut self, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        self.otherwise = Some(Endpoint::json(operation));
        self
    }

    pub(crate) fn on_endpoint(mut self, name: String, endpoint: Endpoint) -> Self {
        self.types.push((name, endpoint));
        self
    }

    /// What they are together, and the names that stand twice among them.
    pub(crate) fn into_dispatch(self) -> (Dispatch, Vec<String>) {
        let (mut types, mut twice) = (BTreeMap::new(), Vec::new());
        for (name, endpoint) in self.types {
            if types.insert(Box::from(name.as_str()), endpoint).is_some() {
                twice.push(name);
            }
        }
        let known: Vec<_> = types.keys().map(|name| format!("\"{name}\"")).collect();
        let otherwise = self.otherwise.unwrap_or_else(|| refusal(known.join(", ")));
        (Dispatch::ByType(Arc::new(ByType { types, otherwise })), twice)
    }
}

/// What stands at the end of the chain for types that nobody handles.
fn refusal(known: String) -> Endpoint {
    Endpoint::fallback(REFUSAL, move |context| ready(Err(unknown(context, &known))).boxed())
}

fn unknown(context: &Context, known: &str) -> Fault {
    let delivery = context.extension::<Delivery>();
    if let Some(fault) = delivery.and_then(cloud_events::fault_of) {
        return fault;
    }
    let named = delivery.and_then(type_of);
    let named = named.map_or_else(|| "no type".to_owned(), |name| format!("the type {name:?}"));
    let text = format!("the message has {named}, and what is known here is {known}");
    Fault::unimplemented("UNKNOWN_TYPE", text)
}
