extern crate polyport_bootstrap as polyport;

use polyport::Provide;

#[derive(Provide)]
#[provide(lazy)]
struct Service;

#[derive(Provide)]
#[provide(dispose = "close")]
struct Pool;

#[derive(Provide)]
#[provide]
struct Cache;

#[derive(Provide)]
#[inject]
struct Misplaced;

fn main() {}
