//! Several protocols in one process: how long until the first answer.

mod by_hand;
mod polyport;

use super::Serving;

/// The server of that name. It says where HTTP is served, last of all.
pub(super) fn find(name: &str) -> Option<Serving> {
    Some(match name {
        "start-by-hand" => Box::pin(by_hand::serve(None)),
        "start-by-hand-amqp" => Box::pin(by_hand::serve(super::amqp::url())),
        "start-polyport" => Box::pin(polyport::serve(None)),
        "start-polyport-amqp" => Box::pin(polyport::serve(super::amqp::url())),
        _ => return None,
    })
}
