//! What frameworks add to the command line.

use crate::Error;

/// An argument that a framework adds to the command line of a program whose `main` has
/// `#[polyport::main]`, while it is loaded. `--help` lists it.
///
/// # Examples
/// ```
/// use polyport_bootstrap::framework::{ArgumentValue, CommandArgument};
///
/// const COMMANDS: &[CommandArgument] = &[CommandArgument {
///     name: "--topology",
///     value: ArgumentValue::OneOf(&["table", "json"]),
///     meaning: "print what is declared on the broker; start nothing",
///     before_hooks: false,
/// }];
/// assert_eq!(COMMANDS[0].name, "--topology");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandArgument {
    /// The name, with its dashes. Those of the kernel (`--check`, `--help` …) go first.
    pub name: &'static str,
    /// What stands behind the name.
    pub value: ArgumentValue,
    /// What it does, in a few words, for `--help`.
    pub meaning: &'static str,
    /// Whether the before-hooks run first, which may add to the configuration, and everything is
    /// checked as for a start: for commands that connect somewhere. Without it files and variables
    /// are all there is.
    pub before_hooks: bool,
}

/// What stands behind an argument's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentValue {
    /// Nothing.
    Nothing,
    /// One of these, after `=`, or nothing.
    OneOf(&'static [&'static str]),
    /// A text, after `=` or as the next argument; `--help` calls it this.
    Text(&'static str),
}

/// A command that a framework is asked to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandCall {
    /// The argument's name: `--topology`.
    pub name: &'static str,
    /// What was given with it.
    pub value: Option<String>,
}

/// What has become of a command.
#[derive(Debug)]
pub enum CommandAnswer {
    /// It is done; this is printed to standard output.
    Done(String),
    /// It is about something that this framework does not have. Where no other framework has it
    /// either, that is an error.
    NotHere(Error),
}
