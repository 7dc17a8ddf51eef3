//! Replies to messages that ask for one.

use http::HeaderMap;
use polyport_bootstrap::{
    Error, Fault,
    operation::{Context, Items, Reply, ReplyBody, Value},
};

use super::{Incoming, Worker, acker::Settle};
use crate::{adapter::Answer, headers, publisher::PublishError};

impl Worker {
    pub(super) async fn answer_reply(
        &self,
        incoming: &Incoming,
        context: &Context,
        reply: Reply,
    ) -> Settle {
        let (_, headers, body) = reply.into_parts();
        let answer = match body.collected(context, self.shared.adapter.max_body).await {
            Ok(ReplyBody::Items(items)) => {
                let headers = headers.as_deref();
                return Box::pin(self.answer_items(incoming, context, headers, items)).await;
            }
            Ok(body) => self.written(context, headers.as_deref(), body),
            Err(fault) => Err(fault),
        };
        match answer {
            Ok(answer) => self.answer(incoming, answer).await,
            Err(fault) => Box::pin(self.answer_fault(incoming, &fault)).await,
        }
    }

    pub(super) async fn answer_fault(&self, incoming: &Incoming, fault: &Fault) -> Settle {
        incoming.told_answered(fault);
        let answer = Answer::of_fault(&*self.shared.adapter.envelope, &incoming.id, fault);
        self.answer(incoming, answer).await
    }

    /// Sends each item as a reply of its own when it is there, and then the end, or the fault that
    /// ends them. The next one is asked for when the broker has confirmed the one before.
    async fn answer_items(
        &self,
        incoming: &Incoming,
        context: &Context,
        headers: Option<&HeaderMap>,
        mut items: Items<Value>,
    ) -> Settle {
        let id = &incoming.id;
        for number in 1.. {
            let item = items.next_of(context, context.deadline).await;
            let answer = item.map(|item| {
                let body = item.map(ReplyBody::Value);
                body.and_then(|body| self.written(context, headers, body))
            });
            let (answer, is_last) = match answer {
                Some(Ok(answer)) => (answer, false),
                Some(Err(fault)) => {
                    (Answer::of_fault(&*self.shared.adapter.envelope, id, &fault), true)
                }
                None => (Answer::end_of_items(), true),
            };
            let sent = self.send(incoming, answer.numbered(number, is_last)).await;
            if is_last || sent.is_err() {
                return self.settled(incoming, sent);
            }
        }
        Settle::Ack
    }

    fn written(
        &self,
        context: &Context,
        headers: Option<&HeaderMap>,
        body: ReplyBody,
    ) -> Result<Answer, Fault> {
        let envelope = &*self.shared.adapter.envelope;
        Answer::of_body(envelope, &context.request_id, body, headers::of_reply(headers))
    }

    /// Replies, and acknowledges the request. A reply that is too large becomes a fault.
    async fn answer(&self, incoming: &Incoming, answer: Answer) -> Settle {
        let sent = match self.send(incoming, answer).await {
            Err(error @ PublishError::TooLarge { .. }) => {
                Box::pin(self.answer_too_large(incoming, error)).await
            }
            sent => sent,
        };
        self.settled(incoming, sent)
    }

    async fn answer_too_large(
        &self,
        incoming: &Incoming,
        error: PublishError,
    ) -> Result<(), PublishError> {
        let id = &incoming.id;
        let fault = Fault::internal(Error::other("the reply was not sent").caused_by(error));
        let source = fault.source_text();
        tracing::error!(queue = &*self.queue, request_id = id.as_str(), source, "call failed");
        let answer = Answer::of_fault(&*self.shared.adapter.envelope, id, &fault);
        self.send(incoming, answer).await
    }

    async fn send(&self, incoming: &Incoming, answer: Answer) -> Result<(), PublishError> {
        match answer.reply(&incoming.delivery, &incoming.id) {
            Some(reply) => self.shared.publisher.publish(reply).await,
            None => Ok(()),
        }
    }

    /// Where the broker is the trouble, the request is handled again when that is over; a reply that
    /// can never be sent is given up.
    fn settled(&self, incoming: &Incoming, sent: Result<(), PublishError>) -> Settle {
        match sent {
            Ok(()) => Settle::Ack,
            Err(PublishError::NotConnected { .. }) => Settle::Requeue,
            Err(error) => {
                let (queue, request_id) = (&*self.queue, incoming.id.as_str());
                tracing::error!(queue, request_id, %error, "a reply was not sent");
                Settle::Ack
            }
        }
    }
}
