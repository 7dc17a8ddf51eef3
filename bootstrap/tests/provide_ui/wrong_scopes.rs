extern crate polyport_bootstrap as polyport;

use polyport::{Provide, Result};

#[derive(Provide)]
#[provide(scope = "requests")]
struct Misspelled;

#[derive(Provide)]
#[provide(scope = request)]
struct WithoutQuotes;

#[derive(Provide)]
#[provide(scope = "request", eager)]
struct Hasty;

#[derive(Provide)]
#[provide(scope = "transient", dispose = close)]
struct Leaking;

impl Leaking {
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

fn main() {}
