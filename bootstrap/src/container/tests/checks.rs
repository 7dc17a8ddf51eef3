//! The exact text of what does not fit together.

use std::sync::Arc;

use super::{container, refused};
use crate::{
    Result,
    container::{ContainerBuilder, Dependency, Key, Root},
};

trait UserRepo: Send + Sync {}
trait UserRepository: Send + Sync {}

struct Memory;
impl UserRepository for Memory {}

struct UserService;
struct A;
struct B;
struct C;

async fn user_service(_: Arc<dyn UserRepo>) -> Result<UserService> {
    Ok(UserService)
}

async fn a(_: Arc<B>) -> Result<A> {
    Ok(A)
}

async fn b(_: Arc<C>) -> Result<B> {
    Ok(B)
}

async fn c(_: Arc<A>) -> Result<C> {
    Ok(C)
}

#[test]
fn a_missing_provider_is_told_with_its_path_and_what_is_near() {
    let mut builder = ContainerBuilder::new();
    builder.set_module("user");
    builder.provide_with(user_service);
    builder.provide_value::<dyn UserRepository>(Arc::new(Memory));
    let root = Root::of::<Arc<UserService>>("HTTP GET /users");
    let error = builder.build_for(&[root]).unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "HTTP GET /users → UserService → dyn UserRepo: nobody provides it\n  \
         help: did you mean dyn UserRepository (module user)? Otherwise bind it in module \
         user:\n      \
         .bind::<dyn UserRepo, …>(|it| it)\n",
    );
}

#[test]
fn without_roots_the_path_begins_at_the_provider() {
    let report = refused(|builder| {
        builder.provide_with(user_service);
    });
    assert!(report.starts_with("UserService → dyn UserRepo: nobody provides it\n"), "{report}");
}

#[test]
fn a_circle_is_told_as_one() {
    let report = refused(|builder| {
        builder.provide_with(a);
        builder.provide_with(b);
        builder.provide_with(c);
    });
    assert_eq!(
        report,
        "A → B → C → A: a circle, nobody in it can be built first\n  \
         help: let one of them take the next lazily (Lazy<…>), or move what both need into a \
         third\n",
    );
}

#[test]
fn a_circle_begins_where_a_root_enters_it() {
    let mut builder = ContainerBuilder::new();
    builder.provide_with(a);
    builder.provide_with(b);
    builder.provide_with(c);
    let root = Root::of::<Arc<C>>("AMQP users.get");
    let error = builder.build_for(&[root]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "AMQP users.get → C → A → B → C: a circle, nobody in it can be built first",
    );
}

#[test]
fn a_provider_of_itself_is_a_circle() {
    async fn selfish(_: Arc<A>) -> Result<A> {
        Ok(A)
    }
    let report = refused(|builder| {
        builder.provide_with(selfish);
    });
    assert!(report.starts_with("A → A: a circle"), "{report}");
}

#[test]
fn everything_that_is_wrong_is_in_one_report() {
    let report = refused(|builder| {
        builder.provide_with(user_service);
        builder.provide_with(a);
        builder.provide_with(b);
        builder.provide_with(c);
        builder.provide_value(Arc::new(1_u8));
        builder.provide_value(Arc::new(2_u8));
        builder.override_value(Arc::new(3_u16));
    });
    let lines: Vec<&str> = report.lines().filter(|line| !line.contains("help: ")).collect();
    assert_eq!(
        lines,
        [
            "the application does not fit together: 4 faults",
            "  u8 is provided twice by module test",
            "  the override of u16 replaces nothing: nobody provides it",
            "  UserService → dyn UserRepo: nobody provides it",
            "  A → B → C → A: a circle, nobody in it can be built first",
        ],
    );
}

#[test]
fn a_root_that_takes_what_nobody_provides_is_told_with_its_own_advice() {
    let container = container(|builder| {
        builder.provide_value(Arc::new(A));
    });
    let handle = Dependency::required(Key::of::<B>()).advise("load a framework that brings it");
    let roots = [
        Root::of::<Arc<A>>("HTTP GET /"),
        Root::new("HTTP GET /admin", vec![handle.clone(), handle]),
        Root::new("hook on_ready", vec![Dependency::required(Key::of::<C>())]),
    ];
    assert_eq!(
        format!("{:?}", container.check(&roots).unwrap_err()),
        "the application does not fit together: 2 faults\n  \
         HTTP GET /admin → B: nobody provides it\n    help: load a framework that brings it\n  \
         hook on_ready → C: nobody provides it\n    help: provide it in a module: \
         .provide::<C>(), or .provide_value(…) or .provide_with(…)\n",
    );
}
