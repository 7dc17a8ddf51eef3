//! The other instances of the application: what is emitted here reaches their connections, too.

mod parcel;

use std::sync::{Arc, Weak};

use bytes::Bytes;
use polyport_bootstrap::{
    Error, Result,
    framework::{FanOutReceiver, FanOutSender, FanOuts},
};

use self::parcel::Parcel;
use crate::{
    SocketId, WebSocketSettings,
    hub::{Hub, Target},
    id::Instance,
    payload::Payload,
};

/// The way to the other instances.
#[derive(Debug)]
pub(crate) struct Cluster(Arc<dyn FanOutSender>);

impl Cluster {
    pub(crate) fn publish(
        &self,
        from: Instance,
        target: Target<'_>,
        payload: &Payload,
        except: &[SocketId],
    ) {
        self.0.send(parcel::write(from, target, payload, except));
    }
}

/// Connects a hub with those of the other instances, where the settings say so. `section` is where
/// they stand.
pub(crate) fn join(
    hub: &Arc<Hub>,
    settings: &WebSocketSettings,
    fan_outs: &FanOuts,
    section: &str,
    application: &str,
) -> Result<()> {
    let Some(broker) = &settings.cluster else { return Ok(()) };
    let fan_out = fan_outs.find(broker).ok_or_else(|| not_loaded(section, broker, fan_outs))?;
    let own = || format!("polyport.{application}.{section}");
    let exchange = settings.cluster_exchange.clone().unwrap_or_else(own);
    hub.join(Cluster(fan_out.open(&exchange, receiver(hub))));
    Ok(())
}

fn not_loaded(section: &str, broker: &str, fan_outs: &FanOuts) -> Error {
    let message =
        format!("{section}.cluster is {broker:?}, and no framework with that section is loaded");
    let others = match fan_outs.offered().as_slice() {
        [] => String::new(),
        offered => format!("; {section}.cluster can be one of {}", offered.join(", ")),
    };
    Error::wiring(message).advise(format!(
        "load AmqpFramework in the bootstrap, or remove {section}.cluster from the configuration \
         to have each instance for itself{others}"
    ))
}

/// Takes what the instances send, for the connections of `hub`.
fn receiver(hub: &Arc<Hub>) -> FanOutReceiver {
    let hub = Arc::downgrade(hub);
    Arc::new(move |message| receive(&hub, &message))
}

fn receive(hub: &Weak<Hub>, message: &Bytes) {
    let Some(hub) = hub.upgrade() else { return };
    match Parcel::read(message) {
        Ok(parcel) if parcel.from == hub.instance => {}
        Ok(parcel) => {
            hub.deliver(parcel.target(), &parcel.payload, &parcel.except);
        }
        Err(error) => tracing::warn!(
            %error,
            "a message on the cluster's exchange is none of this framework's; it is ignored"
        ),
    }
}
