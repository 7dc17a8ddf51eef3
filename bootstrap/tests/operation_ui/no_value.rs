extern crate polyport_bootstrap as polyport;

use polyport::operation::{Ctx, Fault, Input, Inject, operation};

#[operation]
async fn get() {}

fn main() {}
