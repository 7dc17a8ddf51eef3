extern crate polyport_bootstrap as polyport;

use polyport::operation::{Ctx, Fault, Input, Inject, operation};

#[operation]
async fn get(_context: Ctx) -> u32 {
    7
}

fn main() {}
