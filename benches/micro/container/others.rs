//! What the other containers do of the same.
#![allow(clippy::expect_used, reason = "a benchmark that cannot go on ends")]

use std::sync::Arc;

use froodi::{
    DefaultScope::{App, Request},
    registry,
};
use shaku::HasComponent;

use super::application::Session;
use crate::turn::{Turn, turn};

/// The case of that name.
pub(super) fn case(name: &str) -> Option<Turn> {
    Some(match name {
        "shaku: resolve" => shaku_resolve(),
        "dill: get_one" => dill_resolve(),
        "froodi: get (a concrete type)" => froodi_resolve(),
        "dill: a chained catalog with a transaction" => dill_request(),
        "froodi: enter, get, close" => froodi_request(),
        _ => return None,
    })
}

/// The singleton, once more: shaku wants a supertrait of its own.
trait Service: shaku::Interface {}

#[derive(shaku::Component)]
#[shaku(interface = Service)]
struct ShakuService;

impl Service for ShakuService {}

shaku::module! {
    ShakuModule {
        components = [ShakuService],
        providers = []
    }
}

fn shaku_resolve() -> Turn {
    let module = ShakuModule::builder().build();
    turn(move || -> Arc<dyn Service> { module.resolve() })
}

#[dill::component]
#[dill::interface(dyn Service)]
#[dill::scope(dill::Singleton)]
struct DillService;

impl Service for DillService {}

fn dill_resolve() -> Turn {
    let catalog = dill::Catalog::builder().add::<DillService>().build();
    turn(move || catalog.get_one::<dyn Service>().expect("is there"))
}

fn froodi_resolve() -> Turn {
    let container = froodi::Container::new(registry! { scope(App) [provide(|| Ok(Session(42)))] });
    turn(move || container.get::<Session>().expect("is there"))
}

#[dill::component]
#[dill::scope(dill::Transaction)]
struct DillSession;

/// What its own documentation shows for a request: a catalog behind the application's, with a
/// cache of its own.
fn dill_request() -> Turn {
    let catalog = dill::Catalog::builder().add::<DillSession>().build();
    turn(move || {
        let request = catalog.builder_chained().add_value(dill::TransactionCache::new()).build();
        request.get_one::<DillSession>().expect("is built")
    })
}

fn froodi_request() -> Turn {
    let container =
        froodi::Container::new(registry! { scope(Request) [provide(|| Ok(Session(7)))] });
    turn(move || {
        let request = container.clone().enter_build().expect("is entered");
        let session = request.get::<Session>().expect("is built");
        request.close();
        session
    })
}
