extern crate polyport_bootstrap as polyport;

use std::sync::Arc;

use polyport::Provide;

#[derive(Provide)]
enum Either {
    One,
    Other,
}

#[derive(Provide)]
struct Wrapper(#[inject] Arc<String>);

fn main() {}
