//! What frameworks add to the command line.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use polyport_bootstrap::{
    AppCore, AppHandle, Application, Bootstrap, Error, Framework, Result, Transport,
    framework::{
        ArgumentValue, Built, CommandAnswer, CommandArgument, CommandCall, FrameworkContext,
        NoSettings,
    },
    testing::create_bootstrap,
};

const LIST: CommandArgument = CommandArgument {
    name: "--list",
    value: ArgumentValue::OneOf(&["all"]),
    meaning: "list what there is",
    before_hooks: false,
};
const MEND: CommandArgument = CommandArgument {
    name: "--mend",
    value: ArgumentValue::Text("PART"),
    meaning: "mend a part",
    before_hooks: true,
};

/// A framework that has parts, which can be mended.
struct Garage {
    name: &'static str,
    parts: &'static [&'static str],
    closed: Arc<AtomicUsize>,
}

#[derive(Debug, Clone)]
struct GarageApp(Arc<AppCore>);

impl Application for GarageApp {
    fn core(&self) -> &AppCore {
        &self.0
    }
}

impl AppHandle for GarageApp {
    const KIND: &'static str = "garage";
}

impl Framework for Garage {
    type App = GarageApp;
    type Settings = NoSettings;

    const COMMANDS: &'static [CommandArgument] = &[LIST, MEND];

    fn name(&self) -> &str {
        self.name
    }

    fn build(self, _: NoSettings, context: FrameworkContext<'_>) -> Result<Built<GarageApp>> {
        Ok(Built { app: GarageApp(Arc::new(context.core())), transport: Box::new(self) })
    }
}

#[async_trait]
impl Transport for Garage {
    async fn bind(&mut self) -> Result<()> {
        panic!("a command binds nothing")
    }

    async fn serve(&mut self) -> Result<()> {
        panic!("a command serves nothing")
    }

    async fn stop_intake(&mut self) {}

    async fn drain(&mut self) {}

    async fn close(&mut self) -> Result<()> {
        self.closed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn command(&mut self, call: &CommandCall) -> Result<CommandAnswer> {
        let value = call.value.as_deref().unwrap_or_default();
        match (call.name, value) {
            ("--list", _) => Ok(CommandAnswer::Done(format!("{}: {value}\n", self.name))),
            (_, "rust") => Err(Error::other("rust cannot be mended")),
            (_, part) if self.parts.contains(&part) => {
                Ok(CommandAnswer::Done(format!("{} has mended the {part}\n", self.name)))
            }
            _ => Ok(CommandAnswer::NotHere(Error::other(format!("there is no {value}")))),
        }
    }
}

/// Two garages, and how many of them were closed.
fn garages() -> (Bootstrap, Arc<AtomicUsize>) {
    let closed = Arc::new(AtomicUsize::new(0));
    let garage = |name, parts| Garage { name, parts, closed: Arc::clone(&closed) };
    let bootstrap =
        Bootstrap::new().load(garage("east", &["door"])).load(garage("west", &["roof"]));
    (bootstrap, closed)
}

async fn asked(name: &str, value: Option<&str>) -> Result<String, Error> {
    create_bootstrap(garages().0).command(name, value).await
}

#[tokio::test]
async fn every_framework_that_has_a_command_is_asked_and_closed_again() {
    let (bootstrap, closed) = garages();
    let text = create_bootstrap(bootstrap).command("--list", Some("all")).await;
    assert_eq!(text.expect("is done"), "east: all\nwest: all\n");
    assert_eq!(closed.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_one_framework_has_is_done_there_and_what_none_has_is_one_report() {
    let text = asked("--mend", Some("roof")).await.expect("is done");
    assert_eq!(text, "west has mended the roof\n");
    let report = format!("{:?}", asked("--mend", Some("car")).await.expect_err("there is none"));
    assert_eq!(report.matches("there is no car").count(), 2, "{report}");
    assert!(report.contains("east") && report.contains("west"), "{report}");
}

#[tokio::test]
async fn a_command_that_fails_names_the_framework() {
    let report = format!("{:?}", asked("--mend", Some("rust")).await.expect_err("fails"));
    assert!(report.contains("rust cannot be mended") && report.contains("east"), "{report}");
}

#[tokio::test]
async fn a_wrong_use_is_told_with_what_there_is() {
    for (name, value) in [("--lift", None), ("--mend", None), ("--list", Some("some"))] {
        let error = asked(name, value).await.expect_err(name);
        assert_eq!(error.exit_code(), 64, "{error:?}");
    }
}

#[tokio::test]
async fn the_before_hooks_run_where_the_command_takes_the_whole_configuration() {
    for (name, value, runs) in [("--list", None, false), ("--mend", Some("roof"), true)] {
        let ran = Arc::new(AtomicBool::new(false));
        let hook = Arc::clone(&ran);
        let bootstrap = garages().0.before(async move |_| {
            hook.store(true, Ordering::SeqCst);
            Ok(())
        });
        create_bootstrap(bootstrap).command(name, value).await.expect("is done");
        assert_eq!(ran.load(Ordering::SeqCst), runs, "{name}");
    }
}
