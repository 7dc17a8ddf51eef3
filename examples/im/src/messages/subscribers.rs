use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{Stream, StreamExt};
use polyport::prelude::*;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use super::Message;

/// How many messages a subscriber may lag behind before its stream is ended.
const BACKLOG: usize = 256;

/// Who listens to which room over gRPC.
#[derive(Debug, Provide)]
pub(super) struct Subscribers {
    #[default]
    rooms: Mutex<HashMap<String, broadcast::Sender<Message>>>,
}

impl Subscribers {
    /// Every message of the room from now on.
    pub(super) fn subscribe(
        &self,
        room: String,
    ) -> impl Stream<Item = Result<Message, Fault>> + Send + use<> {
        let receiver = {
            let mut rooms = self.rooms();
            rooms.retain(|_, sender| sender.receiver_count() > 0);
            rooms.entry(room).or_insert_with(|| broadcast::Sender::new(BACKLOG)).subscribe()
        };
        BroadcastStream::new(receiver).map(|received| {
            received.map_err(|_| Fault::resource_exhausted("LAGGED", "the subscriber is too slow"))
        })
    }

    /// Hands a message to every subscriber of its room; that there may be none is no fault.
    pub(super) fn push(&self, message: Message) {
        if let Some(sender) = self.rooms().get(&message.room) {
            let _ = sender.send(message);
        }
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<String, broadcast::Sender<Message>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
