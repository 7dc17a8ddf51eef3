extern crate polyport_bootstrap as polyport;

use polyport::{Bootstrap, testing::TestApp};

fn bootstrap() -> Bootstrap {
    Bootstrap::new()
}

#[polyport::test(bootstrap)]
async fn test() {}

#[polyport::test(bootstrap)]
async fn other(app: TestApp, number: u32) {}

fn main() {
    drop(bootstrap());
}
