//! What the server asks a client, and the acks that it waits for.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use polyport_bootstrap::{
    Error, Fault,
    wire::{ACK_EVENT, EXCEPTION_EVENT, EnvelopeStyle, Frame},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::oneshot, time::timeout};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{SendError, Socket, frames};

/// What the ids of requests begin with: a client's own look otherwise.
const PREFIX: &str = "request-";

/// The data of an ack, or the client's refusal.
type Acked = Result<Bytes, Fault>;

/// The requests of one connection that wait for their acks.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    closed: bool,
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Acked>>,
}

impl Requests {
    /// Registers a request; at most `limit` wait at once.
    fn open(&self, limit: usize) -> Result<(u64, oneshot::Receiver<Acked>), Fault> {
        let mut pending = self.pending();
        if pending.closed {
            return Err(SendError::Closed.into());
        }
        if pending.waiting.len() >= limit {
            let message = format!("{limit} requests wait for this client's acks already");
            return Err(Fault::resource_exhausted("TOO_MANY_REQUESTS", message));
        }
        let (sender, receiver) = oneshot::channel();
        pending.last += 1;
        let id = pending.last;
        pending.waiting.insert(id, sender);
        Ok((id, receiver))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending().waiting.is_empty()
    }

    /// Whether this message is the ack, or the refusal, of a request that waits for it.
    pub(crate) fn take(&self, text: &Utf8Bytes) -> bool {
        if self.is_empty() {
            return false;
        }
        let Ok(frame) = Frame::parse(text) else { return false };
        let Some(id) = number(&frame) else { return false };
        let acked = match &*frame.event {
            ACK_EVENT => Ok(frames::data_of(&frame, text)),
            EXCEPTION_EVENT => Err(refusal(&frame)),
            _ => return false,
        };
        let Some(waiting) = self.pending().waiting.remove(&id) else { return false };
        // Nobody listens any more where the time has run out just now.
        let _ = waiting.send(acked);
        true
    }

    /// Lets all who wait know that no ack comes any more.
    pub(crate) fn close(&self) {
        let mut pending = self.pending();
        pending.closed = true;
        let waiting = std::mem::take(&mut pending.waiting);
        drop(pending);
        drop(waiting);
    }

    fn forget(&self, id: u64) {
        self.pending().waiting.remove(&id);
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number in the id of a frame, if it is one of ours.
fn number(frame: &Frame<'_>) -> Option<u64> {
    let id = frame.id?.get().trim_matches('"').strip_prefix(PREFIX)?;
    id.parse().ok()
}

fn refusal(frame: &Frame<'_>) -> Fault {
    let data = frame.data.map_or("null", |data| data.get()).as_bytes();
    Fault::from_received(EnvelopeStyle::of_fault(data).read_fault(data, None))
}

/// A request that waits; forgotten when nobody does any more.
struct Ticket {
    socket: Socket,
    id: u64,
    acked: oneshot::Receiver<Acked>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.socket.extra().requests.forget(self.id);
    }
}

impl Socket {
    /// Asks this client: sends `{"event":…,"id":"request-1","data":…}`, and waits for
    /// `{"event":"ack","id":"request-1","data":…}`, whose data it gives. A client that refuses
    /// answers with the event `exception`, whose fault comes back. May be awaited while an event
    /// of the same connection is handled. Acks that come too late, or twice, are ignored.
    ///
    /// # Cancel safety
    /// Where the future is dropped, the ack is ignored.
    ///
    /// # Errors
    /// Returns the client's refusal; `NO_ACK` (deadline exceeded) where none comes in time;
    /// `SOCKET_CLOSED` (cancelled) where the connection ends; `TOO_MANY_REQUESTS` (resource
    /// exhausted) where `max_requests` of the settings wait already; and an internal fault where
    /// `data` is not JSON, or the ack no `T`.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use polyport_bootstrap::Fault;
    /// use polyport_websocket::Socket;
    ///
    /// async fn confirm(socket: Socket) -> Result<bool, Fault> {
    ///     socket.request("confirm", &"delete it?", Duration::from_secs(30)).await
    /// }
    /// ```
    pub fn request<T: DeserializeOwned + 'static>(
        &self,
        event: &str,
        data: &(impl Serialize + ?Sized),
        patience: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>> {
        let asked = self.ticket().and_then(|ticket| {
            let id = format!("\"{PREFIX}{}\"", ticket.id);
            Ok((frames::request_text(event, &id, data)?, ticket))
        });
        let event = event.to_owned();
        Box::pin(async move {
            let (text, mut ticket) = asked?;
            if !ticket.socket.outbox().request(text.into()) {
                return Err(SendError::Closed.into());
            }
            let acked = timeout(patience, &mut ticket.acked).await;
            let acked = acked.map_err(|_| no_ack(&event, patience))?;
            let data = acked.map_err(|_| Fault::from(SendError::Closed))??;
            let data = if data.is_empty() { b"null" } else { &*data };
            serde_json::from_slice(data).map_err(|error| malformed(&event, error))
        })
    }

    fn ticket(&self) -> Result<Ticket, Fault> {
        let (id, acked) = self.extra().requests.open(self.max_requests())?;
        Ok(Ticket { socket: self.clone(), id, acked })
    }
}

fn no_ack(event: &str, patience: Duration) -> Fault {
    let message = format!("the client has not acknowledged {event:?} within {patience:?}");
    Fault::deadline_exceeded("NO_ACK", message)
}

fn malformed(event: &str, error: serde_json::Error) -> Fault {
    let message = format!("the client's ack to {event:?} is not what was asked for");
    Fault::internal(Error::other(message).caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(requests: &Requests, text: &str) -> bool {
        requests.take(&text.to_owned().into())
    }

    #[test]
    fn only_the_ack_of_one_who_waits_is_taken_and_once() {
        let requests = Requests::default();
        let (id, mut acked) = requests.open(1).expect("the first");
        assert_eq!(requests.open(1).expect_err("one too many").reason(), "TOO_MANY_REQUESTS");
        for other in [
            "",
            r#"{"event":"ack"}"#,
            r#"{"event":"ack","id":1}"#,
            r#"{"event":"ack","id":"request-2"}"#,
            r#"{"event":"hello","id":"request-1"}"#,
        ] {
            assert!(!taken(&requests, other), "{other}");
        }
        let ack = format!(r#"{{"event":"ack","id":"request-{id}","data":[1]}}"#);
        assert!(taken(&requests, &ack) && !taken(&requests, &ack));
        assert_eq!(acked.try_recv().expect("acked").expect("no refusal"), "[1]");
    }

    #[test]
    fn a_refusal_is_the_fault_that_the_client_sends() {
        let requests = Requests::default();
        let (_, mut acked) = requests.open(1).expect("the first");
        let text = r#"{"event":"exception","id":"request-1","data":{"title":"CONFLICT","status":409,"reason":"BUSY"}}"#;
        assert!(taken(&requests, text));
        let fault = acked.try_recv().expect("acked").expect_err("a refusal");
        assert_eq!((fault.status(), fault.reason()), (409, "BUSY"));
    }

    #[test]
    fn the_end_of_the_connection_ends_all_and_takes_no_more() {
        let requests = Requests::default();
        let (_, mut acked) = requests.open(1).expect("the first");
        requests.close();
        assert!(matches!(acked.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert_eq!(requests.open(1).expect_err("closed").reason(), "SOCKET_CLOSED");
    }
}
