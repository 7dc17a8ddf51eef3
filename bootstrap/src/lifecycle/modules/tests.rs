//! Which modules are on, in which order, and what does not fit.

use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::{
    ModuleBuilder,
    config::{ConfigBuilder, Environment},
};

/// A module; different `ID`s are different types.
#[derive(Default)]
struct Named<const ID: usize> {
    name: String,
    needs: Vec<String>,
    likes: Vec<String>,
    /// The key that says whether it is on.
    switch: Option<&'static str>,
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

impl<const ID: usize> Named<ID> {
    fn new(name: &str, needs: &[&str]) -> Self {
        Self { name: name.to_owned(), needs: owned(needs), ..Self::default() }
    }

    fn likes(mut self, names: &[&str]) -> Self {
        self.likes = owned(names);
        self
    }

    fn switch(mut self, key: &'static str) -> Self {
        self.switch = Some(key);
        self
    }
}

impl<const ID: usize> Module for Named<ID> {
    fn name(&self) -> &str {
        &self.name
    }

    fn depends_on(&self) -> Vec<&str> {
        self.needs.iter().map(String::as_str).collect()
    }

    fn optionally_depends_on(&self) -> Vec<&str> {
        self.likes.iter().map(String::as_str).collect()
    }

    fn enabled(&self, config: &Config) -> bool {
        self.switch.is_none_or(|key| config.get_or_default(key).expect("a switch"))
    }

    fn configure(&self, _: &mut ModuleBuilder<'_>) -> Result<()> {
        Ok(())
    }
}

fn entry<const ID: usize>(module: Named<ID>) -> ModuleEntry {
    ModuleEntry::new(module)
}

fn plain(name: &str, needs: &[&str]) -> ModuleEntry {
    entry(Named::<0>::new(name, needs))
}

fn config() -> Config {
    let builder = ConfigBuilder::new(Environment::unittest(), "no/such/folder");
    builder.module_defaults("test", json!({ "yes": true, "no": false })).build().expect("fits")
}

fn order(entries: Vec<ModuleEntry>) -> Result<Vec<String>, String> {
    match in_order(entries, &config()) {
        Ok(modules) => Ok(modules.on.iter().map(|module| module.name().to_owned()).collect()),
        Err(error) => Err(format!("{error:?}")),
    }
}

#[test]
fn dependencies_come_first_and_the_rest_keeps_its_order() {
    let entries = vec![
        plain("chat", &["store", "user"]),
        plain("user", &["store"]),
        plain("store", &[]),
        plain("last", &[]),
    ];
    assert_eq!(order(entries).expect("fits"), ["store", "user", "chat", "last"]);
}

#[test]
fn an_optional_dependency_comes_first_where_it_is_there() {
    let chat = || entry(Named::<0>::new("chat", &[]).likes(&["audit", "mail"]));
    let with = order(vec![chat(), plain("audit", &[])]);
    assert_eq!(with.expect("fits"), ["audit", "chat"]);
    assert_eq!(order(vec![chat()]).expect("fits"), ["chat"]);
}

/// What is logged meanwhile.
fn logged(during: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    // Where there is one subscriber alone, a test on another thread that comes by a line first turns
    // that line off for all.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, during);
    let lines = lines.0.lock().unwrap().clone();
    String::from_utf8(lines).expect("is text")
}

#[test]
fn an_optional_dependency_that_is_absent_or_off_is_a_warning_that_says_so() {
    let chat = Named::<0>::new("chat", &[]).likes(&["audit", "mail"]);
    let entries = vec![entry(chat), entry(Named::<0>::new("mail", &[]).switch("no"))];
    let log = logged(|| assert_eq!(order(entries).expect("fits"), ["chat"]));
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    assert_eq!(warnings.len(), 2, "{log}");
    let audit = "module=\"chat\" absent=\"audit\" why=\"it is not loaded\"";
    assert!(warnings[0].contains(audit), "{log}");
    let mail = "absent=\"mail\" why=\"it is off in environment \\\"unittest\\\": no is false";
    assert!(warnings[1].contains(mail), "{log}");
}

#[test]
fn an_optional_dependency_is_part_of_a_circle_like_any_other() {
    let entries = vec![entry(Named::<0>::new("a", &[]).likes(&["b"])), plain("b", &["a"])];
    assert!(order(entries).expect_err("circle").contains("a → b → a"));
}

#[test]
fn the_same_module_twice_is_one_and_two_of_one_name_are_an_error() {
    let same = vec![plain("a", &[]), plain("a", &[])];
    assert_eq!(order(same).expect("one"), ["a"]);
    let two = vec![plain("a", &[]), entry(Named::<1>::new("a", &[]))];
    assert_eq!(
        order(two).expect_err("two"),
        "two modules are named \"a\"\n  help: rename one of them: a module's name must be its own\n",
    );
}

#[test]
fn instances_of_one_type_are_told_apart_by_their_names() {
    let entries = vec![
        plain("user", &["replica", "database"]),
        plain("database", &[]),
        plain("replica", &[]),
    ];
    assert_eq!(order(entries).expect("fits"), ["replica", "database", "user"]);
}

#[test]
fn a_module_that_is_off_is_left_out_and_another_may_take_its_name() {
    let entries = vec![
        entry(Named::<0>::new("store", &[]).switch("no")),
        entry(Named::<1>::new("store", &[]).switch("yes")),
        entry(Named::<0>::new("audit", &[]).switch("no")),
        entry(Named::<0>::new("user", &["store"]).likes(&["audit"])),
    ];
    let modules = in_order(entries, &config()).expect("fits");
    let on: Vec<_> = modules.on.iter().map(|module| module.name()).collect();
    assert_eq!(on, ["store", "user"]);
    let off: Vec<_> = modules.absent().map(|off| off.entry.name()).collect();
    assert_eq!(off, ["audit"]);
}

#[test]
fn what_depends_on_a_module_that_is_off_is_told_why_it_is_off() {
    let of = |switch| {
        order(vec![entry(Named::<0>::new("store", &[]).switch(switch)), plain("user", &["store"])])
            .expect_err("needs what is off")
    };
    assert_eq!(
        of("no"),
        "module \"user\" depends on module \"store\", which is off in environment \
         \"unittest\": no is false\n    \
         (defaults of module test)\n  \
         help: turn \"store\" on, let \"user\" be off with it (Module::enabled), or depend \
         on it only\n      \
         optionally (Module::optionally_depends_on)\n",
    );
    assert!(of("store.on").replace("\n    ", " ").contains(": store.on is not set\n"));
}

#[test]
fn a_circle_and_an_absent_dependency_are_named() {
    let circle = vec![plain("a", &["b"]), plain("b", &["a"])];
    assert!(order(circle).expect_err("circle").contains("a → b → a"));
    let absent = order(vec![plain("a", &["x"])]).expect_err("absent");
    assert!(absent.contains("module \"a\" depends on module \"x\""), "{absent}");
}

#[test]
fn every_absent_dependency_is_told_also_beside_a_circle() {
    let entries = vec![plain("a", &["b", "x"]), plain("b", &["a", "y"]), plain("c", &["c"])];
    let report = in_order(entries, &config()).map(drop).expect_err("does not fit");
    let told: Vec<_> = report.parts().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "module \"a\" depends on module \"x\", which is not loaded",
            "module \"b\" depends on module \"y\", which is not loaded",
            "modules depend on each other in a circle: a → b → a",
            "modules depend on each other in a circle: c → c",
        ],
    );
}

#[test]
fn a_module_without_a_name_is_refused() {
    let error = order(vec![plain(" ", &[])]).expect_err("has no name");
    assert!(error.starts_with("a module has no name: Named<0>\n"), "{error}");
}
