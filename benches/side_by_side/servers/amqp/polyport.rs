//! polyport with all of its chain: request id, timeout, panics caught, one guard, binding,
//! validation, envelope, retry and dead letter.

use std::time::Duration;

use ::polyport::{
    Context,
    amqp::{AmqpSettings, Message, PublishSettings, RetrySettings},
    module as new_module,
    prelude::*,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    MESSAGE, MESSAGES, Said, Say, Task, WARM,
    marks::{Marks, say as say_line},
    said, url,
};

async fn handle(Input(say): Input<Say>, Inject(marks): Inject<Marks>) -> Result<(), Fault> {
    std::hint::black_box(said(say));
    marks.count();
    Ok(())
}

async fn answer(Input(say): Input<Say>) -> Result<Said, Fault> {
    Ok(said(say))
}

/// Consumes from a queue, and counts in `marks`, or answers where there are none.
pub(super) fn module(queue: String, marks: Option<Marks>) -> impl Module {
    new_module("traffic", move |m| {
        match &marks {
            Some(marks) => {
                m.provide_value(marks.clone().into());
                m.amqp(|q| q.consume(&queue, handle));
            }
            None => {
                m.amqp(|q| q.consume(&queue, answer));
            }
        }
        Ok(())
    })
}

/// Any message may be handled, as a guard says that looks at it.
fn has_content(context: &Context) -> Result<(), Fault> {
    match context.input.body.is_empty() {
        false => Ok(()),
        true => Err(Fault::invalid_argument("EMPTY", "the message says nothing")),
    }
}

fn bootstrap(task: &Task) -> Bootstrap {
    let settings = AmqpSettings {
        url: url().map(Into::into),
        concurrency: task.window,
        prefetch: Some(task.window),
        publish: PublishSettings {
            window: task.window,
            timeout: Duration::from_secs(60),
            ..PublishSettings::default()
        },
        // No queues are left behind but the one for dead letters.
        retry: RetrySettings { delays: Vec::new() },
        ..AmqpSettings::default()
    };
    Bootstrap::new()
        .load(AmqpFramework::new().configure(settings))
        .pipeline(|p| p.guard(has_content))
}

pub(super) async fn consume(task: Result<Task>) -> Result<()> {
    let task = task?;
    let module = module(task.queue.clone(), Some(Marks::default()));
    bootstrap(&task).module(module).start().await?.wait().await?;
    Ok(())
}

pub(super) async fn reply(task: Result<Task>) -> Result<()> {
    let task = task?;
    let process = bootstrap(&task).module(module(task.queue.clone(), None)).start().await?;
    say_line("ready");
    process.wait().await?;
    Ok(())
}

pub(super) async fn publish(task: Result<Task>) -> Result<()> {
    let task = task?;
    let process = bootstrap(&task).start().await?;
    let (app, marks) = (process.app::<AmqpApp>()?, Marks::default());
    say_line("ready");
    let publish = |_| {
        let message = Message::new("", task.queue.as_str(), MESSAGE)
            .content_type("application/json")
            .transient();
        app.publish_message(message)
    };
    stream::iter(0..WARM + MESSAGES)
        .map(publish)
        .buffer_unordered(usize::from(task.window))
        .try_for_each(async |()| {
            marks.count();
            Ok(())
        })
        .await?;
    process.wait().await?;
    Ok(())
}
