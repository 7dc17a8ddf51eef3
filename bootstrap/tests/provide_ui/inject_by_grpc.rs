extern crate polyport_bootstrap as polyport;

use std::sync::Arc;

use polyport::Provide;

struct Client(Arc<u8>);

impl Client {
    fn new(channel: Arc<u8>) -> Self {
        Self(channel)
    }
}

#[derive(Provide)]
struct Empty {
    #[inject(grpc = "")]
    client: Client,
}

fn main() {}
