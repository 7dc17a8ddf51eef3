use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::PublishSettings;

/// Room for messages that were accepted and are not confirmed yet, by their number and their size.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    most_messages: usize,
    most_bytes: usize,
}

/// The room of one message, until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    _message: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Outbox {
    pub(super) fn new(settings: &PublishSettings) -> Self {
        let most_bytes = settings.outbox_bytes.min(u32::MAX as usize);
        Self {
            messages: Arc::new(Semaphore::new(settings.outbox)),
            bytes: Arc::new(Semaphore::new(most_bytes)),
            most_messages: settings.outbox,
            most_bytes,
        }
    }

    /// Waits for room; whoever came first is first. None would mean that there is no outbox.
    pub(super) async fn enter(&self, size: usize) -> Option<Room> {
        let message = Arc::clone(&self.messages).acquire_owned().await.ok()?;
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(self.weight(size)).await.ok()?;
        Some(Room { _message: message, _bytes: bytes })
    }

    /// Room, if there is any now.
    pub(super) fn try_enter(&self, size: usize) -> Option<Room> {
        let message = Arc::clone(&self.messages).try_acquire_owned().ok()?;
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(self.weight(size)).ok()?;
        Some(Room { _message: message, _bytes: bytes })
    }

    /// How many messages it holds, and how many bytes they take.
    pub(super) fn held(&self) -> (usize, usize) {
        let messages = self.most_messages.saturating_sub(self.messages.available_permits());
        (messages, self.most_bytes.saturating_sub(self.bytes.available_permits()))
    }

    /// A message that is larger than the outbox takes all of it.
    fn weight(&self, size: usize) -> u32 {
        u32::try_from(size.min(self.most_bytes)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(messages: usize, bytes: usize) -> Outbox {
        let settings =
            PublishSettings { outbox: messages, outbox_bytes: bytes, ..Default::default() };
        Outbox::new(&settings)
    }

    #[test]
    fn it_is_full_by_number_or_by_size_and_what_leaves_makes_room() {
        let few = outbox(2, 1000);
        let (first, second) = (few.try_enter(1), few.try_enter(1));
        assert!(first.is_some() && second.is_some() && few.try_enter(1).is_none());
        assert_eq!(few.held(), (2, 2));
        drop(first);
        assert!(few.try_enter(1).is_some());

        let small = outbox(10, 100);
        let held = small.try_enter(60);
        assert!(held.is_some() && small.try_enter(41).is_none() && small.try_enter(40).is_some());
        assert_eq!(small.held(), (1, 60), "a refused message holds nothing");
    }

    #[tokio::test]
    async fn a_message_larger_than_the_outbox_passes_alone() {
        let outbox = outbox(10, 100);
        let large = outbox.enter(1000).await;
        assert!(large.is_some() && outbox.try_enter(1).is_none());
        drop(large);
        assert_eq!(outbox.held(), (0, 0));
    }
}
