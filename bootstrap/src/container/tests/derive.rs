//! `#[derive(Provide)]`, with stand-ins for what other rooms bring.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use polyport_macros::Provide;

use super::{Log, PATIENCE, container, refused};
use crate::{Error, container::Root};

/// Stands where generated code looks for polyport.
mod kernel {
    use std::{str::FromStr, sync::Arc};

    use crate::container::{Dependency, Key, Resolver};
    pub(super) use crate::{Error, Result, container};

    pub(super) struct Config(pub(super) Vec<(&'static str, &'static str)>);

    impl Config {
        pub(super) fn get<T: FromStr>(&self, key: &str) -> Result<T> {
            let value = self.0.iter().find(|(found, _)| *found == key);
            let value = value.and_then(|(_, value)| value.parse().ok());
            value.ok_or_else(|| Error::configuration(format!("no value at {key}")))
        }
    }

    pub(super) trait FromApps: Sized {
        fn dependency(name: Option<&'static str>) -> Dependency;
        fn resolve(resolver: &Resolver<'_>, name: Option<&str>) -> Result<Self>;
    }

    #[derive(Clone)]
    pub(super) struct App(pub(super) Arc<str>);

    impl FromApps for App {
        fn dependency(name: Option<&'static str>) -> Dependency {
            let key = Key::of::<Self>();
            Dependency::required(match name {
                Some(name) => key.named(name),
                None => key,
            })
        }

        fn resolve(resolver: &Resolver<'_>, name: Option<&str>) -> Result<Self> {
            let app = match name {
                Some(name) => resolver.get_named::<Self>(name)?,
                None => resolver.get::<Self>()?,
            };
            Ok((*app).clone())
        }
    }
}

trait Repo: Send + Sync {
    fn name(&self) -> &'static str;
}

#[derive(Provide)]
#[provide(crate = self::kernel)]
struct Memory;

impl Repo for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }
}

fn seven() -> u32 {
    7
}

#[derive(Provide)]
#[provide(crate = self::kernel, eager)]
#[provide(init = connect, dispose = close)]
struct Service {
    #[inject]
    repo: Arc<dyn Repo>,
    #[inject]
    log: Arc<Log>,
    #[inject(name = "replica")]
    replica: Arc<String>,
    #[inject]
    absent: Option<Arc<u64>>,
    #[config("users.page_size")]
    page_size: u16,
    #[config("users.greeting")]
    greeting: String,
    #[app]
    main: kernel::App,
    #[app(name = "admin")]
    admin: kernel::App,
    #[default]
    calls: AtomicU32,
    #[default = 16]
    capacity: usize,
    #[default(seven() + 1)]
    computed: u32,
}

impl Service {
    async fn connect(&mut self) -> Result<(), std::num::ParseIntError> {
        self.computed += "100".parse::<u32>()?;
        Ok(())
    }

    async fn close(&self) -> crate::Result<()> {
        self.log.add(format!("closed after {} calls", self.calls.load(Ordering::SeqCst)));
        Ok(())
    }
}

#[derive(Provide)]
#[provide(crate = self::kernel)]
struct Cache<T>
where
    T: Default + Send + Sync + 'static,
{
    #[default]
    value: T,
}

fn config() -> Arc<kernel::Config> {
    Arc::new(kernel::Config(vec![("users.page_size", "20"), ("users.greeting", "hello")]))
}

#[tokio::test]
async fn every_kind_of_field_is_filled() {
    let log = Log::default();
    let container = container(|b| {
        b.provide::<Service>();
        b.bind::<dyn Repo, Memory>(|memory| memory);
        b.provide_value(Arc::new(log.clone()));
        b.provide_value(Arc::new("replica".to_owned())).named("replica");
        b.provide_value(config());
        b.announce::<kernel::App>("later");
        b.announce_named::<kernel::App>("admin", "later");
    });
    container.supply(Arc::new(kernel::App("main".into()))).unwrap();
    container.supply_named("admin", Arc::new(kernel::App("admin".into()))).unwrap();
    container.build_reachable(&[]).await.unwrap();
    let service = container.try_get::<Service>().expect("it is eager");
    service.calls.fetch_add(3, Ordering::SeqCst);
    assert_eq!((service.repo.name(), service.replica.as_str()), ("memory", "replica"));
    assert_eq!((service.page_size, service.greeting.as_str()), (20, "hello"));
    assert_eq!((&*service.main.0, &*service.admin.0), ("main", "admin"));
    assert_eq!((service.capacity, service.computed), (16, 108));
    assert!(service.absent.is_none());
    assert!(container.dispose_all(PATIENCE).await.is_empty());
    assert_eq!(log.entries(), ["closed after 3 calls"]);
}

#[test]
fn every_field_is_a_dependency() {
    let report = refused(|b| {
        b.provide::<Service>();
    });
    let lacking: Vec<&str> =
        report.lines().filter_map(|line| line.trim().strip_prefix("Service → ")).collect();
    assert_eq!(
        lacking,
        [
            "dyn Repo: nobody provides it",
            "Log: nobody provides it",
            "String \"replica\": nobody provides it",
            "Config: nobody provides it",
            "App: nobody provides it",
            "App \"admin\": nobody provides it",
        ],
    );
}

#[tokio::test]
async fn a_wrong_configuration_value_fails_with_the_path() {
    #[derive(Provide)]
    #[provide(crate = self::kernel)]
    struct Paged {
        #[config("users.greeting")]
        _size: u16,
    }
    let container = container(|b| {
        b.provide::<Paged>();
        b.provide_value(config());
    });
    let root = Root::of::<Arc<Paged>>("HTTP GET /users");
    let error = container.build_reachable(&[root]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "HTTP GET /users → Paged (module test): no value at users.greeting",
    );
    assert_eq!(error.exit_code(), 78);
}

#[tokio::test]
async fn init_may_borrow_shared_and_its_error_is_the_constructors() {
    #[derive(Debug, Provide)]
    #[provide(crate = self::kernel, init = check)]
    struct Checked {
        #[default]
        ready: bool,
    }
    impl Checked {
        async fn check(&self) -> crate::Result<()> {
            if self.ready { Ok(()) } else { Err(Error::other("not ready")) }
        }
    }
    let container = container(|b| {
        b.provide::<Checked>();
    });
    let error = container.get::<Checked>().await.unwrap_err();
    assert_eq!(error.to_string(), "Checked (module test): not ready");
}

#[tokio::test]
async fn generic_structs_are_provided_for_each_type() {
    let container = container(|b| {
        b.provide::<Cache<u8>>();
        b.provide::<Cache<String>>();
    });
    assert_eq!(container.get::<Cache<u8>>().await.unwrap().value, 0);
    assert_eq!(container.get::<Cache<String>>().await.unwrap().value, "");
}
