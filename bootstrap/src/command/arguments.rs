//! Arguments: the kernel's, and what frameworks have added to them.

use std::ffi::OsString;

use super::{
    Command,
    own::{ARGUMENTS, Argument, Make, Takes},
};
use crate::{
    Error, ErrorKind, Result,
    framework::{ArgumentValue, CommandArgument},
};

/// Everything that is known; `--help` stands last.
fn known(added: &[CommandArgument]) -> Vec<Argument> {
    let (last, own) = (ARGUMENTS.len() - 1, ARGUMENTS);
    let is_own = |name: &str| own.iter().any(|argument| argument.name == name);
    let added = added.iter().filter(|argument| !is_own(argument.name));
    let added = added.map(|argument| Argument {
        name: argument.name,
        takes: Takes::Value(argument.value),
        meaning: argument.meaning,
        command: Make::OfFramework(*argument),
    });
    own[..last].iter().copied().chain(added).chain([own[last]]).collect()
}

/// What the program can be asked for.
pub(crate) fn help(added: &[CommandArgument]) -> String {
    let mut help = "Without an argument the program starts and serves.\n\n".to_owned();
    let known = known(added);
    let width = known.iter().map(|argument| argument.usage().len()).max().unwrap_or(0);
    for argument in &known {
        help += &format!("  {:width$}  {}\n", argument.usage(), argument.meaning);
    }
    help
}

/// The command of this name that a framework has added.
pub(crate) fn of_framework(
    added: &[CommandArgument],
    name: &str,
    value: Option<&str>,
) -> Result<(CommandArgument, Option<String>)> {
    let known = known(added);
    let argument = known.iter().find(|argument| argument.name == name);
    match argument.map(|argument| argument.command(value, &known)).transpose()? {
        Some(Command::OfFramework(argument, value)) => Ok((argument, value)),
        _ => {
            let told = added.iter().map(|argument| argument.name).collect::<Vec<_>>();
            let advice = format!("frameworks that are loaded have: {}", told.join(", "));
            let error = format!("no framework has the command \"{name}\"");
            Err(Error::new(ErrorKind::Usage, error).advise(advice))
        }
    }
}

impl Argument {
    fn usage(&self) -> String {
        match self.takes {
            Takes::Value(ArgumentValue::Nothing) => self.name.to_owned(),
            Takes::Value(ArgumentValue::OneOf(values)) => {
                format!("{}[={}]", self.name, values.join("|"))
            }
            Takes::Value(ArgumentValue::Text(what)) | Takes::Rest(what) => {
                format!("{} {what}", self.name)
            }
        }
    }

    fn command(&self, value: Option<&str>, known: &[Argument]) -> Result<Command> {
        let refuse = |value| wrong(format!("{} does not take \"{value}\"", self.name), known);
        let lacks =
            |what: &str| wrong(format!("{} needs a {}", self.name, what.to_lowercase()), known);
        match (self.takes, value) {
            (Takes::Rest(what), None | Some("")) => Err(lacks(what)),
            (Takes::Value(ArgumentValue::Text(what)), None) => Err(lacks(what)),
            (Takes::Value(ArgumentValue::Nothing), Some(value)) => Err(refuse(value)),
            (Takes::Value(ArgumentValue::OneOf(values)), Some(value))
                if !values.contains(&value) =>
            {
                Err(refuse(value))
            }
            (_, value) => Ok(self.made(value)),
        }
    }

    fn made(&self, value: Option<&str>) -> Command {
        match self.command {
            Make::Own(command) => command(value),
            Make::OfFramework(argument) => Command::OfFramework(argument, value.map(str::to_owned)),
        }
    }
}

/// What these arguments, without the program's name, ask for.
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    added: &[CommandArgument],
) -> Result<Command> {
    let known = known(added);
    let mut arguments = arguments.into_iter().map(|text| text.to_string_lossy().into_owned());
    let mut asked: Option<Command> = None;
    while let Some(text) = arguments.next() {
        let command = parse_one(&text, &mut arguments, &known)?;
        if asked.as_ref().is_some_and(|other| *other != command) {
            return Err(wrong("only one thing can be asked for at a time".to_owned(), &known));
        }
        asked = Some(command);
    }
    Ok(asked.unwrap_or(Command::Serve))
}

fn parse_one(
    text: &str,
    rest: &mut impl Iterator<Item = String>,
    known: &[Argument],
) -> Result<Command> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    match known.iter().find(|argument| argument.name == name) {
        Some(argument) => {
            let value = match (argument.takes, value) {
                (Takes::Value(ArgumentValue::Text(_)), None) => rest.next(),
                (Takes::Rest(_), None) => Some(rest.collect::<Vec<_>>().join(" ")),
                (_, value) => value,
            };
            argument.command(value.as_deref(), known)
        }
        None => Err(wrong(format!("argument \"{text}\" is not known"), known)),
    }
}

fn wrong(message: String, known: &[Argument]) -> Error {
    let known: Vec<_> = known.iter().map(Argument::usage).collect();
    Error::new(ErrorKind::Usage, message).advise(format!("there is {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{CatalogFormat, GraphFormat},
        *,
    };
    use crate::lifecycle::BeforeHooks;

    const TOPOLOGY: CommandArgument = CommandArgument {
        name: "--topology",
        value: ArgumentValue::OneOf(&["json"]),
        meaning: "print the topology",
        before_hooks: false,
    };
    const REDRIVE: CommandArgument = CommandArgument {
        name: "--redrive",
        value: ArgumentValue::Text("QUEUE"),
        meaning: "bring messages back",
        before_hooks: true,
    };
    const ADDED: [CommandArgument; 2] = [TOPOLOGY, REDRIVE];

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        parsed_with(arguments, &[])
    }

    fn parsed_with(arguments: &[&str], added: &[CommandArgument]) -> Result<Command, String> {
        let arguments = arguments.iter().map(OsString::from);
        parse(arguments, added).map_err(|error| format!("{}: {error:?}", error.exit_code()))
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
    fn what_frameworks_add_is_known_beside_the_kernels_own() {
        let of = |argument, value: Option<&str>| {
            Ok(Command::OfFramework(argument, value.map(str::to_owned)))
        };
        let parsed = |arguments: &[&str]| parsed_with(arguments, &ADDED);
        assert_eq!(parsed(&["--topology"]), of(TOPOLOGY, None));
        assert_eq!(parsed(&["--topology=json"]), of(TOPOLOGY, Some("json")));
        assert_eq!(parsed(&["--redrive", "q"]), of(REDRIVE, Some("q")));
        assert_eq!(parsed(&["--redrive=q"]), of(REDRIVE, Some("q")));
        assert_eq!(parsed(&["--help"]), Ok(Command::Help));
        for (arguments, fault) in [
            (vec!["--redrive"], "--redrive needs a queue"),
            (vec!["--topology=svg"], "--topology does not take \"svg\""),
            (vec!["--topology", "--redrive=q"], "only one thing can be asked for at a time"),
            (vec!["--nothing"], "argument \"--nothing\" is not known"),
        ] {
            let report = parsed(&arguments).expect_err("a wrong use");
            let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(report.starts_with(&format!("64: {fault}")), "{report}");
            assert!(report.contains("--topology[=json], --redrive QUEUE, --help"), "{report}");
        }
    }

    #[test]
    fn the_kernels_own_arguments_stay_what_they_are() {
        let added = [CommandArgument { name: "--check", ..REDRIVE }];
        assert_eq!(parsed_with(&["--check"], &added), Ok(Command::Check(BeforeHooks::Run)));
    }

    #[test]
    fn a_command_of_a_framework_is_found_by_its_name() {
        let (argument, value) = of_framework(&ADDED, "--redrive", Some("q")).expect("is there");
        assert_eq!((argument, value.as_deref()), (REDRIVE, Some("q")));
        for (name, value) in [("--graph", None), ("--nothing", None), ("--redrive", None)] {
            let error = of_framework(&ADDED, name, value).expect_err(name);
            assert_eq!(error.exit_code(), 64);
        }
    }

    #[test]
    fn help_lists_everything_and_fits_a_terminal() {
        let help = help(&ADDED);
        for argument in known(&ADDED) {
            assert!(help.contains(&argument.usage()));
        }
        assert!(help.lines().all(|line| line.len() <= 110), "{help}");
    }
}
