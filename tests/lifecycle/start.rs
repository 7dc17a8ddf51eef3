//! Every stage of the start × {error, panic, hang, SIGTERM}.

use std::{net::TcpStream, process::Command};

use crate::{
    free_port::FreePort,
    program::{Ended, Program, fixture, variables},
};

/// A place in the start: its stage, who is named where it hangs, and the exit code of an error.
struct Place {
    name: &'static str,
    stage: &'static str,
    culprit: &'static str,
    code: i32,
}

const fn place(name: &'static str, stage: &'static str, culprit: &'static str, code: i32) -> Place {
    Place { name, stage, culprit, code }
}

const PLACES: [Place; 11] = [
    place("configure", "modules", "module app", 70),
    place("before", "before", "before-hook 1", 71),
    place("config_did_load", "build", "hook config_did_load of module app", 71),
    place("build", "build", "framework probe", 70),
    place("did_load", "check", "hook did_load of module app", 71),
    place("singleton", "singletons", "Pool", 71),
    place("will_ready", "singletons", "hook will_ready of module app", 71),
    place("bind", "bind", "framework probe", 69),
    place("on_ready", "on_ready", "hook on_ready of module app", 71),
    place("serve", "serve", "framework probe", 69),
    place("on_server_ready", "serve", "hook on_server_ready of module app", 71),
];

/// A deadline that a stage without a fault keeps on a busy machine, too.
const SHORT: &str = "2s";

/// Runs `test` for every place, two at a time.
fn for_each(test: impl Fn(usize, &Place) + Sync) {
    let (first, second) = PLACES.split_at(PLACES.len() / 2);
    std::thread::scope(|scope| {
        for (offset, part) in [(0, first), (first.len(), second)] {
            let test = &test;
            scope.spawn(move || {
                part.iter().enumerate().for_each(|(i, place)| test(offset + i, place))
            });
        }
    });
}

/// What has started is rolled back, and nothing else is called.
fn assert_rolled_back(ended: &Ended, index: usize, place: &Place) {
    let was_built = index > 5;
    assert_eq!(ended.count("dispose"), usize::from(was_built), "{}: {}", place.name, ended.said);
    // A framework whose build hangs is not there to be closed.
    let closes = index > 3;
    assert_eq!(ended.count("close"), usize::from(closes), "{}: {}", place.name, ended.said);
    let hooked = index >= 2;
    assert_eq!(ended.count("closed"), usize::from(hooked), "{}: {}", place.name, ended.said);
    assert_eq!(ended.count("before_close"), usize::from(hooked), "{}", ended.said);
    let served = place.name == "on_server_ready";
    assert_eq!(ended.count("on_stopping"), usize::from(served), "{}", ended.said);
    assert!(!ended.said.contains("ready in "), "{}", ended.said);
    ended.assert_says(&format!("stage: {}", place.stage));
}

#[test]
fn an_error_at_any_stage_rolls_back_and_names_its_place() {
    for_each(|index, place| {
        let ended = Program::faulty(place.name, "error", &[]).end();
        ended.assert_code(place.code);
        ended.assert_says(&format!("{}: fault at {}", place.culprit_of_error(), place.name));
        assert_rolled_back(&ended, index, place);
    });
}

#[test]
fn a_panic_at_any_stage_rolls_back_and_names_its_place() {
    for_each(|index, place| {
        let ended = Program::faulty(place.name, "panic", &[]).end();
        ended.assert_code(71);
        ended.assert_says(&format!("panicked: fault at {}", place.name));
        assert_rolled_back(&ended, index, place);
    });
}

#[test]
fn whoever_hangs_at_any_stage_is_named_at_its_deadline() {
    for_each(|index, place| {
        // No other stage is to end early. The first one has no setting, and a time of its own.
        let limit = format!("POLYPORT__STARTUP__{}", place.stage.to_uppercase());
        let limit = (place.stage != "modules").then_some((&*limit, SHORT));
        let ended = Program::faulty(place.name, "hang", limit.as_slice()).end();
        ended.assert_code(75);
        ended.assert_says(&format!("stage {}, waiting for ", place.stage));
        ended.assert_says(place.culprit);
        assert_rolled_back(&ended, index, place);
    });
}

#[test]
fn sigterm_at_any_stage_cancels_the_start() {
    for_each(|index, place| {
        let mut program = Program::faulty(place.name, "hang", &[]);
        program.until_journal("hangs");
        let ended = program.stop();
        ended.assert_code(128 + 15);
        ended.assert_says("the start was interrupted (SIGTERM)");
        assert_rolled_back(&ended, index, place);
    });
}

impl Place {
    /// A provider's error stands behind the way to it.
    fn culprit_of_error(&self) -> &'static str {
        if self.name == "singleton" { "Pool (module app)" } else { self.culprit }
    }
}

#[test]
fn a_fault_in_the_first_stage_is_exit_code_78() {
    let ended = Program::start(&[("POLYPORT__STARTUP__BIND", "soon")]).end();
    ended.assert_code(78);
    ended.assert_says("startup.bind");
    let ended = Program::start(&[("POLYPORT__SHUTDOWN__TOTAL", "1s")]).end();
    ended.assert_code(78);
    ended.assert_says("shutdown.total is 1s");
}

#[test]
fn a_signal_is_heard_even_while_a_file_of_the_configuration_cannot_be_read() {
    let folder = std::env::temp_dir().join(format!("polyport-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir_all(folder.join("config")).expect("can be made");
    let pipe = folder.join("config/config.default.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let mut child = Command::new(fixture())
        .current_dir(&folder)
        .envs(variables())
        .spawn()
        .expect("cargo builds examples");
    // Opens as soon as the program has opened it to read: then it hangs in the first stage.
    let writer = std::fs::OpenOptions::new().write(true).open(&pipe).expect("has a reader");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
    let status = child.wait().expect("ends");
    drop(writer);
    std::fs::remove_dir_all(folder).expect("is there");
    assert_eq!(status.code(), Some(128 + 15));
}

#[test]
fn nothing_is_served_before_on_ready_has_finished() {
    let [http, grpc] = [(); 2].map(|()| FreePort::reserve());
    let ports = [http.number(), grpc.number()];
    let ports = [("POLYPORT__HTTP__PORT", &*ports[0]), ("POLYPORT__GRPC__PORT", &*ports[1])];
    let mut program = Program::faulty("on_ready", "hang", &ports);
    program.until_journal("hangs");
    for port in [http, grpc] {
        let refused = TcpStream::connect(port.address()).expect_err("must not listen");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    let ended = program.stop();
    ended.assert_code(128 + 15);
    assert_eq!(ended.count("serve"), 0);
}

#[test]
fn ports_in_use_are_told_together_with_framework_and_holder() {
    let [http, grpc] = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("free"));
    let port =
        |taken: &std::net::TcpListener| taken.local_addr().expect("is bound").port().to_string();
    let ports = [port(&http), port(&grpc)];
    let variables = [("POLYPORT__HTTP__PORT", &*ports[0]), ("POLYPORT__GRPC__PORT", &*ports[1])];
    let ended = Program::start(&variables).end();
    ended.assert_code(69);
    for (framework, port) in [("http", &ports[0]), ("grpc", &ports[1])] {
        ended.assert_says(&format!("framework {framework}: cannot bind 127.0.0.1:{port}"));
    }
    if cfg!(target_os = "linux") {
        ended.assert_says(&format!("help: process {} (", std::process::id()));
    }
    assert_eq!(ended.count("dispose"), 1);
}

#[test]
fn a_port_in_use_is_told_beside_a_framework_that_hangs_when_it_is_bound() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("is free");
    let port = taken.local_addr().expect("is bound").port().to_string();
    let variables = [("POLYPORT__HTTP__PORT", &*port), ("POLYPORT__STARTUP__BIND", SHORT)];
    let ended = Program::faulty("bind", "hang", &variables).end();
    ended.assert_code(75);
    ended.assert_says("stage bind, waiting for framework probe");
    ended.assert_says(&format!("framework http: cannot bind 127.0.0.1:{port}"));
}

#[test]
fn the_timeline_is_printed_and_the_process_goes_on() {
    let mut command = Command::new(fixture());
    command.arg("--timeline").stdout(std::process::Stdio::piped());
    let mut program = Program::run(command);
    program.ready();
    let output = program.output();
    program.stop().assert_code(0);
    let printed = std::io::read_to_string(output).expect("is text");
    for part in [
        "configuration  ",
        "\n  module app  ",
        "\n  before-hook 1  ",
        "\n  framework http  ",
        " ms  ",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}
