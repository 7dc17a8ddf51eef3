extern crate polyport_bootstrap as polyport;

use polyport::operation::{Ctx, Fault, Input, Inject, operation};

#[operation]
async fn get(_name: &str) -> Result<u32, Fault> {
    Ok(7)
}

fn main() {}
