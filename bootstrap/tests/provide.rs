//! `#[derive(Provide)]` and `#[polyport::main]` as an application uses them, and what they refuse.

extern crate polyport_bootstrap as polyport;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use polyport::{Config, Provide, Result, container::ContainerBuilder};

trait Repo: Send + Sync {
    fn name(&self) -> &'static str;
}

#[derive(Provide)]
struct SqlRepo;

impl Repo for SqlRepo {
    fn name(&self) -> &'static str {
        "sql"
    }
}

#[derive(Provide)]
#[provide(init = connect)]
struct Service {
    #[inject]
    repo: Arc<dyn Repo>,
    #[inject]
    nobody: Option<Arc<u8>>,
    #[inject(name = "replica")]
    replica: Arc<String>,
    #[default]
    seen: Mutex<HashMap<String, u32>>,
    #[default = 16]
    capacity: usize,
    #[default(vec!["a".to_owned()])]
    words: Vec<String>,
}

impl Service {
    async fn connect(&mut self) -> std::io::Result<()> {
        self.words.push(self.replica.to_string());
        Ok(())
    }
}

#[derive(Provide)]
#[provide(dispose = close)]
struct Paged {
    #[inject]
    _config: Config,
    #[config("users.page_size")]
    _size: u32,
}

impl Paged {
    #[allow(clippy::unused_async, reason = "the shape that the attribute asks for")]
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_derived_provider_is_built_from_what_its_fields_say() {
    let mut builder = ContainerBuilder::new();
    builder.provide::<Service>();
    builder.bind::<dyn Repo, SqlRepo>(|repo| repo);
    builder.provide_value(Arc::new("replica".to_owned())).named("replica");
    let service = builder.build().unwrap().get::<Service>().await.unwrap();
    assert_eq!(service.repo.name(), "sql");
    assert!(service.nobody.is_none() && service.seen.lock().unwrap().is_empty());
    assert_eq!((service.capacity, service.words.join(" ")), (16, "a replica".to_owned()));
}

#[test]
fn configuration_fields_need_the_configuration_once() {
    let mut builder = ContainerBuilder::new();
    builder.provide::<Paged>();
    let error = builder.build().unwrap_err();
    assert_eq!(error.to_string(), "Paged → Config: nobody provides it");
}

mod good {
    #[polyport::main]
    async fn main() -> polyport::Result<()> {
        tokio::task::yield_now().await;
        assert_eq!("42".parse::<u32>()?, 42);
        Ok(())
    }

    #[test]
    fn a_main_that_succeeds_exits_with_zero() {
        assert_eq!(main(), std::process::ExitCode::SUCCESS);
    }
}

mod bad {
    #[polyport::main]
    async fn main() -> polyport::Result<()> {
        Err(polyport::Error::configuration("no database"))
    }

    #[test]
    fn a_main_that_fails_exits_with_its_errors_code() {
        assert_eq!(main(), std::process::ExitCode::from(78));
    }
}

mod foreign {
    #[polyport::main]
    async fn main() -> std::io::Result<()> {
        Err(std::io::Error::other("no disk"))
    }

    #[test]
    fn a_main_with_an_error_of_its_own_exits_with_one() {
        assert_eq!(main(), std::process::ExitCode::from(1));
    }
}

/// `TRYBUILD=overwrite` rewrites the expected errors.
#[test]
fn wrong_uses_are_errors_at_their_place() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/provide_ui/*.rs");
    cases.pass("tests/provide_ui/pass/*.rs");
}

mod constructors {
    use super::*;
    use polyport::container::{Container, Dependency, Scope};

    struct Pool(String, Option<Arc<u8>>);
    struct Ticket;

    #[polyport::provide(eager, dispose = close)]
    async fn connect(
        repo: Arc<dyn Repo>,
        #[inject(name = "replica")] replica: Arc<String>,
        nobody: Option<Arc<u8>>,
    ) -> Result<Pool> {
        tokio::task::yield_now().await;
        Ok(Pool(format!("{} {replica}", repo.name()), nobody))
    }

    impl Pool {
        #[allow(clippy::unused_async, reason = "the shape that the attribute asks for")]
        async fn close(&self) -> std::io::Result<()> {
            Err(std::io::Error::other(format!("{} is busy", self.0)))
        }
    }

    #[polyport::provide(scope = "transient")]
    async fn ticket(#[config("users.page_size")] _size: u32) -> std::io::Result<Ticket> {
        Ok(Ticket)
    }

    #[polyport::provide]
    async fn count(pool: Arc<Pool>) -> Result<Count> {
        Ok(Count(pool.0.len()))
    }

    #[derive(Debug, PartialEq)]
    struct Count(usize);

    #[allow(clippy::expect_used, reason = "a test fails by panicking")]
    fn container(register: impl FnOnce(&mut ContainerBuilder)) -> Container {
        let mut builder = ContainerBuilder::new();
        builder.bind::<dyn Repo, SqlRepo>(|repo| repo);
        builder.provide_value(Arc::new("replica".to_owned())).named("replica");
        builder.provide::<Pool>();
        register(&mut builder);
        builder.build().expect("fits together")
    }

    #[tokio::test]
    async fn a_marked_function_provides_its_type() {
        let container = container(|_| {});
        let pool = container.get::<Pool>().await.unwrap();
        assert_eq!((pool.0.as_str(), pool.1.is_none()), ("sql replica", true));
        const { assert!(Pool::EAGER) }
        assert_eq!(
            Arc::clone(&pool).dispose().await.unwrap_err().to_string(),
            "sql replica is busy"
        );
        assert_eq!(Ticket::SCOPE, Scope::Transient);
        let needs: Vec<String> =
            Ticket::dependencies().iter().map(|need: &Dependency| need.key().to_string()).collect();
        assert_eq!(needs, ["Config"]);
    }

    #[tokio::test]
    async fn given_as_a_factory_it_is_the_same() {
        let marked = container(|builder| {
            builder.provide::<Count>();
        });
        let given = container(|builder| {
            builder.provide_with(count);
        });
        let (marked, given) = (marked.get::<Count>().await, given.get::<Count>().await);
        assert_eq!(marked.unwrap(), given.unwrap());
    }
}
