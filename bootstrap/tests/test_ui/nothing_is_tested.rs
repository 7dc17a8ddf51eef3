extern crate polyport_bootstrap as polyport;

use polyport::{Bootstrap, testing::TestApp};

fn bootstrap() -> Bootstrap {
    Bootstrap::new()
}

#[polyport::test]
async fn test(app: TestApp) {}

fn main() {
    drop(bootstrap());
}
