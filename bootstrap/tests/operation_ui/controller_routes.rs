extern crate polyport_bootstrap as polyport;

use polyport::{Provide, controller, operation::Fault};

#[derive(Provide)]
struct Users;

#[controller("/users")]
impl Users {
    #[get("/")]
    async fn changes(&mut self) -> Result<u32, Fault> {
        Ok(7)
    }

    #[get(users)]
    async fn without_text(&self) -> Result<u32, Fault> {
        Ok(7)
    }

    #[websocket("users", status = 201)]
    async fn misplaced(&self) -> Result<u32, Fault> {
        Ok(7)
    }

    #[grpc("a.B/C", request = u32)]
    async fn half(&self) -> Result<u32, Fault> {
        Ok(7)
    }
}

fn main() {}
