extern crate polyport_bootstrap as polyport;

use polyport::{Bootstrap, testing::TestApp};

fn bootstrap() -> Bootstrap {
    Bootstrap::new()
}

#[polyport::test(bootstrap, flavor = "fast")]
async fn fast(app: TestApp) {}

#[polyport::test(bootstrap, worker_threads = 0)]
async fn none(app: TestApp) {}

#[polyport::test(bootstrap, worker_threads = 2, start_paused = true)]
async fn paused(app: TestApp) {}

#[polyport::test(bootstrap, flavor = "current_thread", worker_threads = 2)]
async fn one(app: TestApp) {}

fn main() {
    drop(bootstrap());
}
