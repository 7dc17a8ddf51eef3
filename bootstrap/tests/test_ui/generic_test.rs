extern crate polyport_bootstrap as polyport;

use polyport::{Bootstrap, testing::TestApp};

fn bootstrap() -> Bootstrap {
    Bootstrap::new()
}

#[polyport::test(bootstrap)]
async fn test<T>(app: TestApp) {}

fn main() {
    drop(bootstrap());
}
