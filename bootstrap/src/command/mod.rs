//! The command line that `#[polyport::main]` adds.
//!
//! `main` reads the arguments and lays what they ask for around its future; `run` obeys it. Nothing
//! is kept outside of that future, so that a `run` elsewhere (in a test, in a program with a `main`
//! of its own) knows of no command line.

use std::{ffi::OsString, io::Write};

mod arguments;
mod own;

use crate::{
    Catalog, Error, Graph, Result,
    framework::CommandArgument,
    lifecycle::{BeforeHooks, Looked},
};

pub(crate) use self::arguments::{help, of_framework};

tokio::task_local! {
    static GIVEN: Vec<OsString>;
}

/// What the process is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// To start and serve: no argument.
    Serve,
    /// To show what it can be asked for.
    Help,
    /// To start and serve, and to show what the start spent its time on.
    Timeline,
    /// To show the graph of the application.
    Graph(GraphFormat),
    /// To list what is served.
    Operations(CatalogFormat),
    /// To say what answers a route.
    Route(String),
    /// To say whether it would start.
    Check(BeforeHooks),
    /// To show the merged configuration.
    Config(BeforeHooks),
    /// To say where the value at a key comes from.
    Explain(String),
    /// What a framework has added, with what was given.
    OfFramework(CommandArgument, Option<String>),
}

/// How the graph is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GraphFormat {
    Mermaid,
    Dot,
    Json,
}

/// How the catalog of operations is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CatalogFormat {
    Table,
    Json,
}

/// Runs `main` with the command that `arguments`, without the program's name, ask for.
pub(crate) async fn with<T>(
    arguments: impl IntoIterator<Item = OsString>,
    main: impl Future<Output = T>,
) -> T {
    GIVEN.scope(arguments.into_iter().collect(), main).await
}

/// The command that lies around this task, where frameworks have `added` these to the kernel's.
pub(crate) fn given(added: &[CommandArgument]) -> Result<Command> {
    let given = GIVEN.try_with(Clone::clone).unwrap_or_default();
    arguments::parse(given, added)
}

/// Writes `text` to standard output; a reader that has gone is no fault.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::other("standard output cannot be written to").caused_by(error))
        }
        _ => Ok(()),
    }
}

/// What is said of an application that would start.
pub(crate) fn checked(graph: &Graph) -> String {
    let (operations, providers) = (graph.operations.len(), graph.providers.len());
    format!("nothing is wrong: {operations} operations, {providers} providers\n")
}

/// Shows what was looked up, and then what went wrong on the way there.
pub(crate) fn show(looked: &Looked, shown: Result<String>) -> Result<()> {
    match (shown, looked.trouble.clone()) {
        (Ok(text), trouble) => print(&text).and(trouble),
        (Err(error), trouble) => Err(error.also(trouble.err())),
    }
}

impl CatalogFormat {
    pub(crate) fn show(self, catalog: &Catalog) -> Result<String> {
        match self {
            Self::Table => Ok(catalog.to_table()),
            Self::Json => catalog.to_json().map(|json| json + "\n"),
        }
    }
}

impl GraphFormat {
    pub(crate) fn show(self, graph: &Graph) -> Result<String> {
        match self {
            Self::Mermaid => Ok(graph.to_mermaid()),
            Self::Dot => Ok(graph.to_dot()),
            Self::Json => graph.to_json().map(|json| json + "\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_holds_in_the_future_that_it_lies_around_and_nowhere_else() {
        let graph = with([OsString::from("--graph")], async { given(&[]) }).await;
        assert_eq!(graph.expect("is known"), Command::Graph(GraphFormat::Mermaid));
        assert_eq!(given(&[]).expect("there is none"), Command::Serve);
        let wrong = with([OsString::from("--grap")], async { given(&[]) }).await;
        assert_eq!(wrong.expect_err("is not known").exit_code(), 64);
    }
}
