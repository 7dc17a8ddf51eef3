extern crate polyport_bootstrap as polyport;

use garde::Validate;
use polyport::operation::Input;

#[derive(Input, Validate)]
struct Tuple(#[garde(skip)] String);

#[derive(Input, Validate)]
struct Nothing;

#[derive(Input, Validate)]
enum Choice {
    One,
}

#[derive(Input, Validate)]
struct Borrows<'a> {
    #[garde(skip)]
    text: &'a str,
}

fn main() {}
