extern crate polyport_bootstrap as polyport;

use polyport::Result;

struct Pool;
struct Cache;
struct Clock;
struct Repo;
struct Mailer;
struct Store;
struct Plain(u32);

#[polyport::provide]
struct Misplaced;

#[polyport::provide]
fn not_async() -> Result<Pool> {
    Ok(Pool)
}

#[polyport::provide]
async fn no_result() -> Cache {
    Cache
}

#[polyport::provide(init = connect)]
async fn with_init() -> Result<Clock> {
    Ok(Clock)
}

#[polyport::provide(lazy)]
async fn unknown_option() -> Result<Repo> {
    Ok(Repo)
}

#[polyport::provide]
async fn state_of_its_own(#[default] size: u32, #[inject] #[config("a")] two: u32) -> Result<Mailer> {
    Ok(Mailer)
}

#[polyport::provide]
async fn generic<T>(_: T) -> Result<Store> {
    Ok(Store)
}

#[polyport::provide]
async fn not_injectable(size: u32) -> Result<Plain> {
    Ok(Plain(size))
}

fn main() {}
