//! What the other containers do of the same.
#![allow(clippy::expect_used, reason = "a benchmark that cannot go on ends")]

use std::sync::Arc;

use froodi::{
    DefaultScope::{App, Request},
    registry,
};
use shaku::HasComponent;

use crate::{application::Session, measure::Case};

/// The singleton, once more: shaku wants a supertrait of its own.
pub(crate) trait Service: shaku::Interface {}

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

pub(crate) fn shaku_resolve() -> Case {
    let module = ShakuModule::builder().build();
    Case::new("shaku: resolve", move |_| -> Arc<dyn Service> { module.resolve() })
}

#[dill::component]
#[dill::interface(dyn Service)]
#[dill::scope(dill::Singleton)]
struct DillService;

impl Service for DillService {}

pub(crate) fn dill_resolve() -> Case {
    let catalog = dill::Catalog::builder().add::<DillService>().build();
    Case::new("dill: get_one", move |_| catalog.get_one::<dyn Service>().expect("is there"))
}

pub(crate) fn froodi_resolve() -> Case {
    let container = froodi::Container::new(registry! { scope(App) [provide(|| Ok(Session(42)))] });
    Case::new("froodi: get (concrete type)", move |_| container.get::<Session>().expect("is there"))
}

#[dill::component]
#[dill::scope(dill::Transaction)]
struct DillSession;

/// What its own documentation shows for a request: a catalog behind the application's, with a
/// cache of its own.
pub(crate) fn dill_request() -> Case {
    let catalog = dill::Catalog::builder().add::<DillSession>().build();
    Case::new("dill: a chained catalog with a transaction", move |_| {
        let request = catalog.builder_chained().add_value(dill::TransactionCache::new()).build();
        request.get_one::<DillSession>().expect("is built")
    })
}

pub(crate) fn froodi_request() -> Case {
    let container =
        froodi::Container::new(registry! { scope(Request) [provide(|| Ok(Session(7)))] });
    Case::new("froodi: enter, get, close", move |_| {
        let request = container.clone().enter_build().expect("is entered");
        let session = request.get::<Session>().expect("is built");
        request.close();
        session
    })
}
