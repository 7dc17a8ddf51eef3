//! The command line that `#[polyport::main]` adds.
//!
//! `main` reads the arguments and lays what they ask for around its future; `run` obeys it. Nothing
//! is kept outside of that future, so that a `run` elsewhere (in a test, in a program with a `main`
//! of its own) knows of no command line.

use std::{ffi::OsString, io::Write};

use crate::{
    Catalog, Error, ErrorKind, Graph, Result,
    lifecycle::{BeforeHooks, Looked},
};

tokio::task_local! {
    static GIVEN: Result<Command>;
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

/// An argument, with what it takes, and what it does.
struct Argument {
    name: &'static str,
    takes: Takes,
    meaning: &'static str,
    command: fn(Option<&str>) -> Command,
}

/// What stands behind an argument's name.
enum Takes {
    Nothing,
    /// One of these, after `=`, or nothing.
    OneOf(&'static [&'static str]),
    /// A key of the configuration, after `=` or as the next argument.
    Key,
    /// A route, after `=` or as all further arguments.
    Route,
}

const ARGUMENTS: [Argument; 8] = [
    Argument {
        name: "--check",
        takes: Takes::OneOf(&["offline"]),
        meaning: "check configuration and wiring (offline: no before-hooks); start nothing",
        command: |how| Command::Check(before_hooks(how)),
    },
    Argument {
        name: "--config",
        takes: Takes::OneOf(&["offline"]),
        meaning: "print the configuration with the source of each value, secrets masked",
        command: |how| Command::Config(before_hooks(how)),
    },
    Argument {
        name: "--explain",
        takes: Takes::Key,
        meaning: "print where the value at KEY comes from, and what it stands above",
        command: |key| Command::Explain(key.unwrap_or_default().to_owned()),
    },
    Argument {
        name: "--graph",
        takes: Takes::OneOf(&["mermaid", "dot", "json"]),
        meaning: "print modules, providers, operations and who needs whom; start nothing",
        command: |format| {
            Command::Graph(match format {
                Some("dot") => GraphFormat::Dot,
                Some("json") => GraphFormat::Json,
                _ => GraphFormat::Mermaid,
            })
        },
    },
    Argument {
        name: "--operations",
        takes: Takes::OneOf(&["table", "json"]),
        meaning: "print every route with its operation and what stands around it",
        command: |format| {
            Command::Operations(match format {
                Some("json") => CatalogFormat::Json,
                _ => CatalogFormat::Table,
            })
        },
    },
    Argument {
        name: "--route",
        takes: Takes::Route,
        meaning: "print what answers a ROUTE (GET /users, websocket users.get), or why nothing",
        command: |route| Command::Route(route.unwrap_or_default().to_owned()),
    },
    Argument {
        name: "--timeline",
        takes: Takes::Nothing,
        meaning: "start and serve, and print what each stage, hook and framework took",
        command: |_| Command::Timeline,
    },
    Argument {
        name: "--help",
        takes: Takes::Nothing,
        meaning: "print this",
        command: |_| Command::Help,
    },
];

fn before_hooks(how: Option<&str>) -> BeforeHooks {
    how.map_or(BeforeHooks::Run, |_| BeforeHooks::LeaveOut)
}

/// Runs `main` with the command that `arguments`, without the program's name, ask for.
pub(crate) async fn with<T>(
    arguments: impl IntoIterator<Item = OsString>,
    main: impl Future<Output = T>,
) -> T {
    GIVEN.scope(parse(arguments), main).await
}

/// The command that lies around this task.
pub(crate) fn given() -> Result<Command> {
    GIVEN.try_with(Clone::clone).unwrap_or(Ok(Command::Serve))
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

/// What the program can be asked for.
pub(crate) fn help() -> String {
    let mut help = "Without an argument the program starts and serves.\n\n".to_owned();
    let width = ARGUMENTS.iter().map(|argument| argument.usage().len()).max().unwrap_or(0);
    for argument in &ARGUMENTS {
        help += &format!("  {:width$}  {}\n", argument.usage(), argument.meaning);
    }
    help
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

impl Argument {
    fn usage(&self) -> String {
        match self.takes {
            Takes::Nothing => self.name.to_owned(),
            Takes::OneOf(values) => format!("{}[={}]", self.name, values.join("|")),
            Takes::Key => format!("{} KEY", self.name),
            Takes::Route => format!("{} ROUTE", self.name),
        }
    }

    fn command(&self, value: Option<&str>) -> Result<Command> {
        match (&self.takes, value) {
            (Takes::Route, None | Some("")) => Err(wrong(format!("{} needs a route", self.name))),
            (Takes::Key, None) => Err(wrong(format!("{} needs a key", self.name))),
            (Takes::Nothing, Some(value)) => Err(self.refuse(value)),
            (Takes::OneOf(known), Some(value)) if !known.contains(&value) => {
                Err(self.refuse(value))
            }
            (_, value) => Ok((self.command)(value)),
        }
    }

    fn refuse(&self, value: &str) -> Error {
        wrong(format!("{} does not take \"{value}\"", self.name))
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut arguments = arguments.into_iter().map(|text| text.to_string_lossy().into_owned());
    let mut asked: Option<Command> = None;
    while let Some(text) = arguments.next() {
        let command = parse_one(&text, &mut arguments)?;
        if asked.as_ref().is_some_and(|other| *other != command) {
            return Err(wrong("only one thing can be asked for at a time".to_owned()));
        }
        asked = Some(command);
    }
    Ok(asked.unwrap_or(Command::Serve))
}

fn parse_one(text: &str, rest: &mut impl Iterator<Item = String>) -> Result<Command> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    match ARGUMENTS.iter().find(|argument| argument.name == name) {
        Some(argument) => {
            let value = match (&argument.takes, value) {
                (Takes::Key, None) => rest.next(),
                (Takes::Route, None) => Some(rest.collect::<Vec<_>>().join(" ")),
                (_, value) => value,
            };
            argument.command(value.as_deref())
        }
        None => Err(wrong(format!("argument \"{text}\" is not known"))),
    }
}

fn wrong(message: String) -> Error {
    let known: Vec<_> = ARGUMENTS.iter().map(Argument::usage).collect();
    Error::new(ErrorKind::Usage, message).advise(format!("there is {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        let arguments = arguments.iter().map(OsString::from);
        parse(arguments).map_err(|error| format!("{}: {error:?}", error.exit_code()))
    }

    #[test]
    fn arguments_say_what_is_asked_for() {
        let explain = |key: &str| Ok(Command::Explain(key.to_owned()));
        assert_eq!(parsed(&[]), Ok(Command::Serve));
        assert_eq!(parsed(&["--help"]), Ok(Command::Help));
        assert_eq!(parsed(&["--graph"]), Ok(Command::Graph(GraphFormat::Mermaid)));
        assert_eq!(parsed(&["--timeline"]), Ok(Command::Timeline));
        assert_eq!(parsed(&["--graph=dot"]), Ok(Command::Graph(GraphFormat::Dot)));
        assert_eq!(parsed(&["--graph=json"; 2]), Ok(Command::Graph(GraphFormat::Json)));
        assert_eq!(parsed(&["--check"]), Ok(Command::Check(BeforeHooks::Run)));
        assert_eq!(parsed(&["--check=offline"]), Ok(Command::Check(BeforeHooks::LeaveOut)));
        assert_eq!(parsed(&["--config=offline"]), Ok(Command::Config(BeforeHooks::LeaveOut)));
        assert_eq!(parsed(&["--explain", "http.port"]), explain("http.port"));
        assert_eq!(parsed(&["--explain=http.port"]), explain("http.port"));
        assert_eq!(parsed(&["--explain", "--help"]), explain("--help"));
        assert_eq!(parsed(&["--explain="]), explain(""));
        let route = |route: &str| Ok(Command::Route(route.to_owned()));
        assert_eq!(parsed(&["--operations"]), Ok(Command::Operations(CatalogFormat::Table)));
        assert_eq!(parsed(&["--operations=json"]), Ok(Command::Operations(CatalogFormat::Json)));
        assert_eq!(parsed(&["--route", "GET", "/users"]), route("GET /users"));
        assert_eq!(parsed(&["--route=GET /users"]), route("GET /users"));
    }

    #[test]
    fn what_is_not_known_is_told_with_what_is() {
        let help = "\n  help: there is --check[=offline], --config[=offline], --explain KEY,\n      \
                    --graph[=mermaid|dot|json], --operations[=table|json], --route ROUTE, --timeline,\n      \
                    --help\n";
        for (arguments, fault) in [
            (vec!["--grap"], "argument \"--grap\" is not known"),
            (vec!["dot"], "argument \"dot\" is not known"),
            (vec![""], "argument \"\" is not known"),
            (vec!["--graph=svg"], "--graph does not take \"svg\""),
            (vec!["--help=all"], "--help does not take \"all\""),
            (vec!["--check=online"], "--check does not take \"online\""),
            (vec!["--explain"], "--explain needs a key"),
            (vec!["--route"], "--route needs a route"),
            (vec!["--graph", "--help"], "only one thing can be asked for at a time"),
            (vec!["--check", "--check=offline"], "only one thing can be asked for at a time"),
        ] {
            assert_eq!(parsed(&arguments), Err(format!("64: {fault}{help}")));
        }
    }

    #[test]
    fn help_lists_everything_and_fits_a_terminal() {
        for argument in &ARGUMENTS {
            assert!(help().contains(&argument.usage()));
        }
        assert!(help().lines().all(|line| line.len() <= 110), "{}", help());
    }

    #[tokio::test]
    async fn a_command_holds_in_the_future_that_it_lies_around_and_nowhere_else() {
        let graph = with([OsString::from("--graph")], async { given() }).await;
        assert_eq!(graph.expect("is known"), Command::Graph(GraphFormat::Mermaid));
        assert_eq!(given().expect("there is none"), Command::Serve);
        let wrong = with([OsString::from("--grap")], async { given() }).await;
        assert_eq!(wrong.expect_err("is not known").exit_code(), 64);
    }
}
