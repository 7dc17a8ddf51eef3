//! What the kernel itself can be asked for.

use super::{CatalogFormat, Command, GraphFormat};
use crate::{
    framework::{ArgumentValue, CommandArgument},
    lifecycle::BeforeHooks,
};

/// An argument, with what it takes, and what it does.
#[derive(Clone, Copy)]
pub(super) struct Argument {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) meaning: &'static str,
    pub(super) command: Make,
}

/// What an argument asks for, with what was given.
#[derive(Clone, Copy)]
pub(super) enum Make {
    Own(fn(Option<&str>) -> Command),
    OfFramework(CommandArgument),
}

/// What stands behind an argument's name.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    Value(ArgumentValue),
    /// A text of this name, after `=` or as all further arguments.
    Rest(&'static str),
}

pub(super) const ARGUMENTS: [Argument; 8] = [
    Argument {
        name: "--check",
        takes: Takes::Value(ArgumentValue::OneOf(&["offline"])),
        meaning: "check configuration and wiring (offline: no before-hooks); start nothing",
        command: Make::Own(|how| Command::Check(before_hooks(how))),
    },
    Argument {
        name: "--config",
        takes: Takes::Value(ArgumentValue::OneOf(&["offline"])),
        meaning: "print the configuration with the source of each value, secrets masked",
        command: Make::Own(|how| Command::Config(before_hooks(how))),
    },
    Argument {
        name: "--explain",
        takes: Takes::Value(ArgumentValue::Text("KEY")),
        meaning: "print where the value at KEY comes from, and what it stands above",
        command: Make::Own(|key| Command::Explain(key.unwrap_or_default().to_owned())),
    },
    Argument {
        name: "--graph",
        takes: Takes::Value(ArgumentValue::OneOf(&["mermaid", "dot", "json"])),
        meaning: "print modules, providers, operations and who needs whom; start nothing",
        command: Make::Own(|format| {
            Command::Graph(match format {
                Some("dot") => GraphFormat::Dot,
                Some("json") => GraphFormat::Json,
                _ => GraphFormat::Mermaid,
            })
        }),
    },
    Argument {
        name: "--operations",
        takes: Takes::Value(ArgumentValue::OneOf(&["table", "json"])),
        meaning: "print every route with its operation and what stands around it",
        command: Make::Own(|format| {
            Command::Operations(match format {
                Some("json") => CatalogFormat::Json,
                _ => CatalogFormat::Table,
            })
        }),
    },
    Argument {
        name: "--route",
        takes: Takes::Rest("ROUTE"),
        meaning: "print what answers a ROUTE (GET /users, websocket users.get), or why nothing",
        command: Make::Own(|route| Command::Route(route.unwrap_or_default().to_owned())),
    },
    Argument {
        name: "--timeline",
        takes: Takes::Value(ArgumentValue::Nothing),
        meaning: "start and serve, and print what each stage, hook and framework took",
        command: Make::Own(|_| Command::Timeline),
    },
    Argument {
        name: "--help",
        takes: Takes::Value(ArgumentValue::Nothing),
        meaning: "print this",
        command: Make::Own(|_| Command::Help),
    },
];

fn before_hooks(how: Option<&str>) -> BeforeHooks {
    how.map_or(BeforeHooks::Run, |_| BeforeHooks::LeaveOut)
}
