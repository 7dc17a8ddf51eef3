//! What stands around operations, in which order, and for which of them.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use garde::Validate;
use polyport::{
    Bootstrap, Context, Error, Fault, FaultKind, Provide, module,
    operation::{
        AnyError, Aspect, Call, FaultFilter, Guard, Input, Invocation, OperationExt, Pipeline,
        Plan, Protocol, RawInput, Reply, Stage, injected,
    },
};
use serde::Deserialize;
use support::{
    Fake, Log,
    calls::{
        FAKE, Note, NoteAspect, NoteGuard, alone, answer, call, call_with, fake, reason, soon,
        stages, text,
    },
};

async fn hello() -> Result<&'static str, Fault> {
    Ok("hello")
}

/// One stage of each kind, under names that begin with this.
macro_rules! every_kind {
    ($pipeline:expr, $log:expr, $scope:literal) => {
        $pipeline
            .aspect(NoteAspect(Note(concat!($scope, " aspect"), $log.clone())))
            .interceptor(Note(concat!($scope, " interceptor"), $log.clone()))
            .guard(NoteGuard(Note(concat!($scope, " guard"), $log.clone())))
            .middleware(concat!($scope, "-middleware"), {
                Note(concat!($scope, " middleware"), $log.clone())
            })
            .core_middleware(concat!($scope, "-core"), Note(concat!($scope, " core"), $log.clone()))
            .fault_filter(Asked(concat!($scope, " filter"), $log.clone()))
    };
}

/// A fault filter that writes down that it is asked.
struct Asked(&'static str, Log);

#[async_trait]
impl FaultFilter for Asked {
    type Error = AnyError;

    async fn filter(&self, _: &Context, _: &AnyError, _: &Fault) -> Option<Result<Reply, Fault>> {
        self.1.add(self.0);
        None
    }
}

fn everywhere(log: &Log) -> Bootstrap {
    let framework = every_kind!(Pipeline::new(), log, "framework");
    let own = log.clone();
    let users = module("users", move |m| {
        m.pipeline(|p| every_kind!(p, own, "module"));
        let log = own.clone();
        let operation = async move || {
            log.add("operation");
            Err::<&str, _>(Fault::not_found("NOBODY", "nobody"))
        };
        answer(m, "default", "users.get", operation.pipeline(|p| every_kind!(p, own, "operation")));
        Ok(())
    });
    Bootstrap::new()
        .load(Fake::new(&Log::default()).pipeline(framework))
        .pipeline(|p| every_kind!(p, log, "application"))
        .module(users)
}

#[tokio::test]
async fn a_call_meets_every_stage_of_every_scope_in_order() {
    let log = Log::default();
    let app = soon(alone(everywhere(&log))).await.unwrap();
    let answer = call(&app, "users.get").await;
    assert_eq!(reason(&answer), "NOBODY");
    let scopes = ["application", "framework", "module", "operation"];
    let mut expected = Vec::new();
    let all = |how: &str, what: &str| scopes.map(|scope| format!("{how}{scope} {what}"));
    let back = |what: &str| {
        let mut all = all("< ", what);
        all.reverse();
        all
    };
    expected.extend(all("> ", "core"));
    expected.extend(all("> ", "middleware"));
    expected.extend(all("", "guard"));
    expected.extend(all("> ", "interceptor"));
    expected.extend(all("> ", "aspect"));
    expected.push("operation".to_owned());
    expected.extend(back("aspect"));
    expected.extend(back("interceptor"));
    expected.extend(scopes.iter().rev().map(|scope| format!("{scope} filter")));
    expected.extend(back("middleware"));
    expected.extend(back("core"));
    assert_eq!(log.entries(), expected);
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn an_operation_has_only_what_is_said_for_it() {
    let log = Log::default();
    let note = |name| Note(name, log.clone());
    let (one, two, main) = (note("one"), note("two"), note("main"));
    let bootstrap = Bootstrap::new()
        .load(Fake::new(&Log::default()).pipeline(Pipeline::new().interceptor(main)))
        .load(Fake::new(&Log::default()).named("other"))
        .module(module("one", move |m| {
            m.pipeline(|p| p.middleware("one", one.clone()));
            answer(m, "default", "a", hello);
            answer(m, "default", "b", hello.pipeline(|p| p.interceptor(two.clone())));
            Ok(())
        }))
        .module(module("two", |m| {
            answer(m, "default", "c", hello);
            answer(m, "other", "a", hello);
            Ok(())
        }));
    let app = soon(alone(bootstrap)).await.unwrap();
    assert_eq!(stages(&app, "a"), ["one", "Note"]);
    assert_eq!(stages(&app, "b"), ["one", "Note", "Note"]);
    assert_eq!(stages(&app, "c"), ["Note"]);
    let other = app.app_named::<support::FakeApp>("other").unwrap();
    assert!(other.stages("a").is_empty());
    assert_eq!(text(&call(&app, "b").await), "hello");
    assert_eq!(log.entries(), ["> one", "> main", "> two", "< two", "< main", "< one"]);
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn a_stage_is_for_its_protocols_and_for_what_it_matches() {
    let log = Log::default();
    let note = |name| Note(name, log.clone());
    let bootstrap = fake()
        .pipeline(|p| {
            p.middleware("here", note("here"))
                .only_on(&[FAKE, Protocol::new("else")])
                .middleware("elsewhere", note("elsewhere"))
                .only_on(&[Protocol::new("else")])
                .middleware("public", note("public"))
                .matching(|exposure| exposure.route.starts_with("public."))
                .matching(|exposure| exposure.operation().name() == "hello")
        })
        .module(module("m", |m| {
            answer(m, "default", "public.hello", hello);
            answer(m, "default", "public.other", hello.named("other"));
            answer(m, "default", "hello", hello);
            Ok(())
        }));
    let app = soon(alone(bootstrap)).await.unwrap();
    assert_eq!(stages(&app, "public.hello"), ["here", "public"]);
    assert_eq!(stages(&app, "public.other"), ["here"]);
    assert_eq!(stages(&app, "hello"), ["here"]);
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn an_orchestrator_reorders_inserts_and_removes() {
    let log = Log::default();
    let note = |name| Note(name, log.clone());
    let extra = log.clone();
    let bootstrap = fake()
        .pipeline(|p| {
            p.middleware("a", note("a")).middleware("b", note("b")).middleware("c", note("c"))
        })
        .orchestrate(move |plan: &mut Plan| {
            if plan.exposure().route != "changed" {
                return;
            }
            assert!(plan.remove("a") && !plan.remove("a"));
            assert!(plan.move_before("c", "b") && !plan.move_before("c", "nothing"));
            let band = polyport::operation::Band::Application;
            let stage =
                |name: &'static str| Stage::middleware(name, band, Note(name, extra.clone()));
            assert!(plan.insert_after("c", stage("d")) && plan.insert_before("c", stage("e")));
            assert!(!plan.insert_after("nothing", stage("f")));
            plan.push(stage("g"));
        })
        .module(module("m", |m| {
            answer(m, "default", "changed", hello);
            answer(m, "default", "same", hello);
            Ok(())
        }));
    let app = soon(alone(bootstrap)).await.unwrap();
    assert_eq!(stages(&app, "same"), ["a", "b", "c"]);
    assert_eq!(stages(&app, "changed"), ["e", "c", "d", "b", "g"]);
    call(&app, "changed").await.unwrap();
    assert_eq!(&log.entries()[..5], ["> e", "> c", "> d", "> b", "> g"]);
    soon(app.close()).await.unwrap();
}

#[derive(Debug, PartialEq)]
enum Role {
    Admin,
}

struct User(&'static str);

#[derive(Provide)]
struct Users {
    #[inject]
    names: Arc<Names>,
}

struct Names(Vec<&'static str>);

/// Finds out who calls, and lets in whoever may do this.
#[async_trait]
impl Guard for Users {
    async fn check(&self, context: &Context) -> Result<(), Fault> {
        let name = context.metadata.get("x-user").and_then(|name| name.to_str().ok());
        let user = self.names.0.iter().find(|known| Some(**known) == name);
        let user = user.ok_or_else(|| Fault::unauthenticated("WHO", "who are you"))?;
        let wants_admin = context.operation().attribute() == Some(&Role::Admin);
        if wants_admin && *user != "root" {
            return Err(Fault::permission_denied("ADMINS_ONLY", "not for you"));
        }
        context.set(User(user));
        Ok(())
    }
}

async fn whoami(
    polyport::operation::Ctx(context): polyport::operation::Ctx,
) -> Result<&'static str, Fault> {
    Ok(context.value::<User>().map_or("nobody", |User(name)| name))
}

fn with_users() -> Bootstrap {
    fake().pipeline(|p| p.guard(injected::<Users>())).module(module("users", |m| {
        m.provide_value(Arc::new(Names(vec!["tom", "root"]))).provide::<Users>();
        answer(m, "default", "whoami", whoami);
        answer(m, "default", "rule", whoami.attr(Role::Admin));
        Ok(())
    }))
}

fn by(name: &'static str) -> impl FnOnce(&mut Call) {
    move |call| drop(call.metadata.insert("x-user", name.parse().unwrap()))
}

#[tokio::test]
async fn an_injected_guard_reads_attributes_and_leaves_the_user_for_the_operation() {
    let app = soon(alone(with_users())).await.unwrap();
    assert_eq!(text(&call_with(&app, "whoami", by("tom")).await), "tom");
    assert_eq!(text(&call_with(&app, "rule", by("root")).await), "root");
    assert_eq!(reason(&call_with(&app, "rule", by("tom")).await), "ADMINS_ONLY");
    assert_eq!(reason(&call_with(&app, "whoami", by("mallory")).await), "WHO");
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn what_an_injected_guard_needs_can_be_replaced_in_tests() {
    let test = alone(with_users()).override_value(Arc::new(Names(vec!["mallory"])));
    let app = soon(test).await.unwrap();
    assert_eq!(text(&call_with(&app, "whoami", by("mallory")).await), "mallory");
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn a_guard_that_nobody_provides_is_told_at_start_with_its_operation() {
    let bootstrap = fake().module(module("m", |m| {
        answer(m, "default", "hello", hello.pipeline(|p| p.guard(injected::<Users>())));
        Ok(())
    }));
    let error = soon(alone(bootstrap)).await.expect_err("cannot start");
    let text = format!("{error:?}");
    assert!(text.contains("Users of FAKE hello → Users: nobody provides it"), "{text}");
}

#[tokio::test]
async fn a_guard_that_is_private_to_another_module_is_refused_at_start() {
    let bootstrap = fake()
        .module(module("users", |m| {
            m.provide_value(Arc::new(Names(vec![])));
            m.private(|m| {
                m.provide::<Users>();
            });
            answer(m, "default", "own", hello.pipeline(|p| p.guard(injected::<Users>())));
            Ok(())
        }))
        .module(module("thief", |m| {
            answer(m, "default", "stolen", hello.pipeline(|p| p.guard(injected::<Users>())));
            Ok(())
        }));
    let error = soon(alone(bootstrap)).await.expect_err("is not its");
    let text = format!("{error:?}");
    assert!(text.contains("Users of FAKE stolen") && !text.contains("FAKE own"), "{text}");
}

#[derive(Deserialize, Validate)]
struct Post {
    #[garde(length(min = 1))]
    text: String,
}

async fn post(Input(post): Input<Post>) -> Result<String, Fault> {
    Ok(post.text)
}

struct Shout;

#[async_trait]
impl Aspect for Shout {
    async fn around(
        &self,
        context: &Context,
        mut invocation: Invocation<'_>,
    ) -> Result<Reply, Fault> {
        let post = invocation.input_mut::<Post>().expect("is bound");
        post.text = post.text.to_uppercase();
        let reply = invocation.proceed(context).await?;
        reply.map_value(|text: String| format!("{text}!"))
    }
}

#[tokio::test]
async fn an_aspect_sees_and_changes_the_bound_input_and_the_value() {
    let bootstrap = fake().module(module("m", |m| {
        answer(m, "default", "post", post.pipeline(|p| p.aspect(Shout)));
        Ok(())
    }));
    let app = soon(alone(bootstrap)).await.unwrap();
    let body = |text: &'static str| {
        move |call: &mut Call| call.input = RawInput::json(Bytes::from_static(text.as_bytes()))
    };
    let answer = call_with(&app, "post", body(r#"{"text":"hi"}"#)).await;
    assert_eq!(answer.unwrap().value::<String>().unwrap(), "HI!");
    let refused = call_with(&app, "post", body(r#"{"text":""}"#)).await;
    assert_eq!(reason(&refused), "INVALID_INPUT", "an aspect sees valid input only");
    soon(app.close()).await.unwrap();
}

fn missing() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::NotFound)
}

async fn read_file() -> Result<(), Fault> {
    Err(Error::other("cannot be read").caused_by(missing()).into())
}

struct Files;

#[async_trait]
impl FaultFilter for Files {
    type Error = std::io::Error;

    async fn filter(
        &self,
        _: &Context,
        error: &std::io::Error,
        _: &Fault,
    ) -> Option<Result<Reply, Fault>> {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        is_missing.then(|| Ok(Reply::json("an empty file")))
    }
}

#[tokio::test]
async fn a_fault_filter_is_chosen_by_the_error_and_the_innermost_is_asked_first() {
    let outer = |p: Pipeline| {
        p.on_error(|_: &std::io::Error, _| Some(Fault::unavailable("DISK", "a broken disk")))
            .on_error(|_: &AnyError, fault: &Fault| {
                let is_internal = fault.kind() == FaultKind::Internal;
                is_internal.then(|| Fault::unavailable("BROKEN", "come back later"))
            })
    };
    let bootstrap = fake().pipeline(outer).module(module("m", |m| {
        answer(m, "default", "filtered", read_file.pipeline(|p| p.fault_filter(Files)));
        answer(m, "default", "plain", read_file);
        answer(m, "default", "panics", async || -> Result<(), Fault> { panic!("no") });
        answer(m, "default", "refuses", async || {
            Err::<(), _>(Fault::not_found("NOBODY", "nobody"))
        });
        Ok(())
    }));
    let app = soon(alone(bootstrap)).await.unwrap();
    assert_eq!(text(&call(&app, "filtered").await), "an empty file");
    assert_eq!(reason(&call(&app, "plain").await), "DISK");
    assert_eq!(reason(&call(&app, "panics").await), "BROKEN", "a panic is a fault as all others");
    assert_eq!(reason(&call(&app, "refuses").await), "NOBODY");
    soon(app.close()).await.unwrap();
}
