extern crate polyport_bootstrap as polyport;

use polyport::{Container, HookPoint, module};

struct Pool;

fn main() {
    let _ = module("hooks", |m| {
        m.hook(HookPoint::OnReady, async |_: Pool| Ok(()));
        m.hook(HookPoint::OnReady, async |_: Container| Ok(()));
        Ok(())
    });
}
