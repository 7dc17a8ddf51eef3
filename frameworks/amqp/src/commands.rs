//! What this framework adds to the command line: `--topology` and `--redrive`.

use polyport_bootstrap::{
    Error, ErrorKind, Result,
    framework::{ArgumentValue, CommandAnswer, CommandArgument, CommandCall},
};

use crate::{
    redrive::redrive,
    settings::AmqpSettings,
    source::Source,
    topology::{Plan, Shown},
};

const TOPOLOGY: CommandArgument = CommandArgument {
    name: "--topology",
    value: ArgumentValue::OneOf(&["table", "json"]),
    meaning: "print the exchanges, queues, bindings and consumers of AMQP; connect to nothing",
    before_hooks: false,
};

const REDRIVE: CommandArgument = CommandArgument {
    name: "--redrive",
    value: ArgumentValue::Text("QUEUE"),
    meaning: "bring the messages parked in QUEUE.dead back to QUEUE, and print how many",
    before_hooks: true,
};

pub(crate) const COMMANDS: &[CommandArgument] = &[TOPOLOGY, REDRIVE];

/// What commands are about.
#[derive(Debug)]
pub(crate) struct Commanded<'a> {
    /// The framework, as reports call it.
    pub(crate) title: String,
    pub(crate) section: &'a str,
    pub(crate) source: &'a Source,
    pub(crate) settings: &'a AmqpSettings,
    pub(crate) plan: &'a Plan,
}

impl Commanded<'_> {
    pub(crate) async fn run(self, call: &CommandCall) -> Result<CommandAnswer> {
        let value = call.value.as_deref();
        if call.name == REDRIVE.name {
            return self.redrive(value.unwrap_or_default()).await;
        }
        let shown = Shown::of(self.plan, self.title);
        let text = if value == Some("json") { shown.to_json()? } else { shown.to_table() };
        Ok(CommandAnswer::Done(text))
    }

    async fn redrive(self, queue: &str) -> Result<CommandAnswer> {
        if !self.plan.consumed().any(|known| known == queue) {
            return Ok(CommandAnswer::NotHere(self.unknown(queue)));
        }
        let section = self.section;
        let broker = self.source.known().ok_or_else(|| {
            Error::configuration(format!(
                "{section}.url is not set: the in-memory broker keeps nothing"
            ))
            .advise(format!("set {section}.url to the broker whose messages are to come back"))
        })?;
        let moved = redrive(broker, self.settings, section, queue).await?;
        let messages = if moved == 1 { "message" } else { "messages" };
        let text = format!("{moved} {messages} brought back from {queue}.dead to {queue}\n");
        Ok(CommandAnswer::Done(text))
    }

    fn unknown(&self, queue: &str) -> Error {
        let known: Vec<_> = self.plan.consumed().collect();
        let advice = if known.is_empty() {
            "no operation consumes from a queue here".to_owned()
        } else {
            format!("there is {}", known.join(", "))
        };
        Error::new(ErrorKind::Usage, format!("nothing consumes from a queue \"{queue}\""))
            .advise(advice)
    }
}
