//! The macros `operation` and `controller`.

extern crate polyport_bootstrap as polyport;

use garde::Validate;
use polyport::operation::{Ctx, Fault, Input, Operation, OperationExt, operation};
use serde::Deserialize;

#[derive(Debug, PartialEq)]
struct Level(u8);

#[derive(Debug, Deserialize, Validate, schemars::JsonSchema)]
#[garde(allow_unvalidated)]
struct Named {
    name: String,
}

/// Greets.
#[operation(name = "greet", attr = Level(1), attr = Level(2), pipeline = |p| p)]
async fn say_hello(Input(named): Input<Named>, _context: Ctx) -> Result<String, Fault> {
    Ok(format!("hello {}", named.name))
}

#[operation]
pub(crate) async fn nothing() -> Result<(), std::convert::Infallible> {
    Ok(())
}

#[test]
fn it_says_what_was_declared() {
    let info = say_hello.info();
    assert_eq!(info.name(), "greet");
    assert_eq!(info.attribute(), Some(&Level(2)));
    assert_eq!(info.attributes::<Level>().collect::<Vec<_>>(), [&Level(1), &Level(2)]);
    assert!(info.schemas().input().is_some() && info.schemas().output().is_some());
    assert_eq!(nothing.info().name(), "nothing");
}

#[tokio::test]
async fn the_function_itself_is_there() {
    nothing::run().await.expect("cannot fail");
}

#[test]
fn more_can_be_said_of_it_where_it_is_registered() {
    assert_eq!(nothing.named("other").info().name(), "other");
    assert_eq!(say_hello.attr(Level(3)).info().attribute(), Some(&Level(3)));
}

#[test]
fn wrong_uses_are_errors_at_their_place() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/operation_ui/*.rs");
}
