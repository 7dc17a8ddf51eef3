//! Takes connections from the port.

use std::{sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};

use crate::hub::Hub;

/// How long the listener rests after a failed accept (too many open files, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is offered, in seconds, as by RabbitMQ.
const HEARTBEAT: u16 = 60;

/// Serves whoever connects, for ever.
pub(crate) async fn accept(listener: TcpListener, hub: &Arc<Hub>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => attend(stream, hub),
            Err(error) => {
                tracing::warn!(%error, "cannot accept an AMQP connection; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn attend(stream: TcpStream, hub: &Arc<Hub>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    hub.attend(stream.into_split(), HEARTBEAT);
}
