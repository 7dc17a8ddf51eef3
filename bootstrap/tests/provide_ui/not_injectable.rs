extern crate polyport_bootstrap as polyport;

use polyport::{Provide, Result, container::ContainerBuilder};

#[derive(Clone)]
struct Pool;

#[derive(Provide)]
struct Service {
    #[inject]
    pool: Pool,
}

#[derive(Provide)]
struct Named {
    #[inject(name = "replica")]
    pool: Pool,
}

#[polyport::provide]
async fn connect(pool: Pool) -> Result<Connection> {
    Ok(Connection(pool))
}

struct Connection(Pool);

fn main() {
    ContainerBuilder::new().provide_with(async |_: Pool| Ok(7_u8));
}
