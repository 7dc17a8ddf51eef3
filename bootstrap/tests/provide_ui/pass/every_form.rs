extern crate polyport_bootstrap as polyport;

use std::{collections::HashMap, sync::Arc};

use polyport::{
    App, Application, Config, Context, Container, Health, HookPoint, Lifecycle, Provide, Result,
    container::{ContainerBuilder, Lazy},
    module,
    operation::{Ctx, Inject},
};

trait Repo: Send + Sync {}

trait Store: Send + Sync + 'static {}

#[derive(Provide)]
struct Unit;

impl Repo for Unit {}

#[derive(Provide)]
struct Empty {}

#[derive(Provide)]
struct EmptyTuple();

#[derive(Provide)]
#[provide(eager, scope = "singleton", init = start, dispose = stop)]
struct Everything {
    #[inject]
    _plain: Arc<Unit>,
    #[inject]
    _view: Arc<dyn Repo>,
    #[inject(name = "replica")]
    _named: Arc<String>,
    #[inject]
    _optional: Option<Arc<u8>>,
    #[inject(name = "spare")]
    _optional_named: Option<Arc<u8>>,
    #[inject]
    _all: Vec<Arc<dyn Repo>>,
    #[inject]
    _lazy: Lazy<Empty>,
    #[inject(name = "late")]
    _lazy_named: Lazy<Empty>,
    #[inject]
    _extracted: Inject<Unit>,
    #[inject]
    _config: Config,
    #[inject]
    _health: Health,
    #[inject]
    _lifecycle: Lifecycle,
    #[app]
    _main: Arc<dyn Application>,
    #[config("users.page_size")]
    _size: u32,
    #[config("users.names")]
    _names: Option<Vec<String>>,
    #[default]
    _state: HashMap<String, u32>,
    #[default = 3]
    _assigned: usize,
    #[default(vec![1, 2])]
    _called: Vec<u8>,
}

impl Everything {
    async fn start(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    async fn stop(&self) -> Result<()> {
        Ok(())
    }
}

#[derive(Provide)]
#[provide(scope = "request")]
struct OfACall {
    #[inject]
    _context: Context,
    #[inject]
    _ctx: Ctx,
}

#[derive(Provide)]
#[provide(scope = "transient")]
struct Generic<S: Store, const SIZE: usize = 4>
where
    S: Send,
{
    #[inject]
    _store: Arc<S>,
    #[default([0; SIZE])]
    _buffer: [u8; SIZE],
}

struct Memory;

impl Store for Memory {}

struct Pool;

#[polyport::provide(eager)]
async fn pool(_: Arc<Unit>, #[inject(name = "replica")] _: Arc<String>) -> Result<Pool> {
    Ok(Pool)
}

async fn warm(_: Inject<Pool>, _: Option<Arc<u8>>) -> Result<()> {
    Ok(())
}

fn main() {
    let mut builder = ContainerBuilder::new();
    builder.provide::<Unit>();
    builder.provide::<Empty>();
    builder.provide::<EmptyTuple>();
    builder.provide::<Everything>();
    builder.provide::<OfACall>();
    builder.provide_value(Arc::new(Memory));
    builder.provide::<Generic<Memory>>();
    builder.provide::<Generic<Memory, 8>>();
    builder.provide::<Pool>();
    let _ = module("hooks", |m| {
        m.hook(HookPoint::WillReady, warm)
            .hook(HookPoint::OnReady, async |Inject(pool): Inject<Pool>, _: Lazy<Empty>| {
                drop(pool);
                Ok(())
            })
            .hook(HookPoint::Closed, async || Ok(()))
            .hook(HookPoint::DidLoad, async |_: App<Arc<dyn Application>>| Ok(()))
            .on_ready(async |container| container.get::<Pool>().await.map(drop))
            .on_ready(async |_: Container| Ok(()));
        Ok(())
    });
}
