//! What AMQP clients in other languages call and answer: queues that echo, refuse and pass on, and
//! a way to have this server ask a queue of theirs.

use garde::Validate;
use polyport::{
    amqp::{Message, Reply},
    operation::{App, Body, Path, Raw},
    prelude::*,
};
use serde::{Deserialize, Serialize};

pub(crate) struct MessagingModule;

impl Module for MessagingModule {
    fn name(&self) -> &'static str {
        "messaging"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.http(|r| r.post("/request/{queue}", request));
        m.amqp(|q| {
            q.consume("conformance.echo", echo)
                .consume("conformance.refuse", refuse)
                .consume("conformance.note", pass_on)
        });
        Ok(())
    }
}

async fn echo(Body(bytes): Body) -> Result<Raw, Fault> {
    Ok(Raw::new("application/json", bytes))
}

async fn refuse() -> Result<(), Fault> {
    Err(Fault::not_found("NO_SUCH_THING", "there is no such thing"))
}

/// A note, and the queue that it is passed on to.
#[derive(Debug, Serialize, Deserialize, Validate)]
struct Note {
    #[garde(skip)]
    text: String,
    #[garde(length(min = 1))]
    to: String,
}

async fn pass_on(App(amqp): App<AmqpApp>, Input(note): Input<Note>) -> Result<(), Fault> {
    amqp.publish_message(Message::json("", &note.to, &note)?.mandatory()).await?;
    Ok(())
}

/// Asks the queue what was posted, and answers with its reply.
async fn request(
    App(amqp): App<AmqpApp>,
    Path(queue): Path<String>,
    Body(bytes): Body,
) -> Result<Raw, Fault> {
    let message = Message::new("", queue, bytes).content_type("application/json");
    let reply: Reply = amqp.request_message(message).await?;
    Ok(Raw::new("application/json", reply.body().clone()))
}
