//! Families of instances: one for each entry of a section of the configuration.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::sync::Arc;

use polyport::{
    Bootstrap, Error, Module, Provide, module,
    testing::{TestBootstrap, create_bootstrap},
};
use serde::Deserialize;
use serde_json::json;
use support::{Fake, Log};

#[derive(Deserialize)]
struct Settings {
    host: String,
    port: u16,
}

#[derive(Debug, PartialEq)]
struct Pool(String);

#[derive(Provide)]
struct Repo {
    #[inject(name = "db1")]
    pool: Arc<Pool>,
    #[inject]
    all: Vec<Arc<Pool>>,
}

fn database(log: &Log) -> impl Module {
    let log = log.clone();
    module("database", move |m| {
        m.default_config(json!({ "mysql": {
            "default": { "host": "localhost", "port": 3306 },
            "clients": { "db1": { "port": 3307 }, "db2": {} },
        } }));
        let (built, disposed) = (log.clone(), log.clone());
        m.family("mysql", move |settings: Settings, name: String| {
            let built = built.clone();
            async move {
                if settings.port == 1 {
                    return Err(Error::connection("refused"));
                }
                built.add(format!("{name} built"));
                Ok(Pool(format!("{}:{}", settings.host, settings.port)))
            }
        })
        .on_dispose(move |pool: Arc<Pool>| {
            disposed.add(format!("{} disposed", pool.0));
            std::future::ready(Ok(()))
        });
        m.provide::<Repo>();
        Ok(())
    })
}

fn start(log: &Log, change: impl FnOnce(Bootstrap) -> Bootstrap) -> TestBootstrap {
    let bootstrap = Bootstrap::new().load(Fake::new(&Log::default())).module(database(log));
    create_bootstrap(change(bootstrap)).root("no/such/folder")
}

#[tokio::test]
async fn every_entry_is_an_instance_with_the_defaults_below_it() {
    let log = Log::default();
    let fetched = start(&log, |bootstrap| {
        bootstrap.before(async |container| {
            let early = container.get_named::<Pool>("db1").await.unwrap_err();
            assert_eq!(
                early.to_string(),
                "Pool (module database): it does not exist yet; it comes when the \
                 configuration is complete, after the before-hooks",
            );
            container.config().add(json!({ "mysql": { "clients": { "db3": { "host": "far" } } } }))
        })
    });
    let app = fetched.await.unwrap();
    let mut built = log.entries();
    built.sort();
    assert_eq!(built, ["db1 built", "db2 built", "db3 built"], "at start");
    let repo = app.container().get::<Repo>().await.unwrap();
    assert_eq!(repo.pool.0, "localhost:3307");
    let all: Vec<&str> = repo.all.iter().map(|pool| pool.0.as_str()).collect();
    assert_eq!(all, ["localhost:3307", "localhost:3306", "far:3306"]);
    drop(repo);
    app.close().await.unwrap();
    assert_eq!(log.entries().len(), 6, "each is disposed of");
}

#[tokio::test]
async fn a_member_that_the_configuration_does_not_name_is_told() {
    #[derive(Provide)]
    struct Archive {
        #[inject(name = "db22")]
        _pool: Arc<Pool>,
    }
    let log = Log::default();
    let archive = module("archive", |m| {
        m.provide::<Archive>();
        Ok(())
    });
    let error = start(&log, |bootstrap| bootstrap.module(archive)).await.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "Archive → Pool \"db22\": nobody provides it\n  \
         stage: check\n  \
         help: did you mean Pool \"db2\" (module database)? There is Pool \"db1\", Pool \
         \"db2\". Otherwise\n      \
         add it to the configuration: mysql.clients.db22\n",
    );
    assert!(log.entries().is_empty());
}

#[tokio::test]
async fn a_member_that_cannot_be_built_or_configured_is_told_by_name() {
    let log = Log::default();
    let refused = start(&log, |bootstrap| bootstrap).config("mysql.clients.db2.port", 1);
    assert_eq!(refused.await.unwrap_err().to_string(), "Pool \"db2\" (module database): refused",);
    let wrong = start(&log, |bootstrap| bootstrap).config("mysql.clients.db2.port", "many");
    let error = wrong.await.unwrap_err().to_string();
    assert!(error.starts_with("Pool \"db2\" (module database): "), "{error}");
    assert!(error.contains("mysql.clients.db2.port"), "{error}");
}

#[tokio::test]
async fn a_test_can_replace_one_of_them_and_it_is_never_built() {
    let log = Log::default();
    let fake = Arc::new(Pool("fake".to_owned()));
    let app = start(&log, |bootstrap| bootstrap).override_named("db1", Arc::clone(&fake));
    let app = app.await.unwrap();
    let repo = app.container().get::<Repo>().await.unwrap();
    assert_eq!((&repo.pool, repo.all.len()), (&fake, 2));
    assert_eq!(log.entries(), ["db2 built"]);
    drop(repo);
    app.close().await.unwrap();
    assert_eq!(log.entries(), ["db2 built", "localhost:3306 disposed"]);
}

#[tokio::test]
async fn without_entries_there_are_none() {
    let log = Log::default();
    let quiet = module("quiet", |m| {
        m.family("redis", async |_: Settings, _: String| Ok(7_u8));
        m.provide_with(async |all: Vec<Arc<u8>>| Ok(all.len())).eager();
        Ok(())
    });
    let app = start(&log, |bootstrap| bootstrap.module(quiet)).await.unwrap();
    assert_eq!(*app.container().get::<usize>().await.unwrap(), 0);
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_section_of_another_shape_is_an_error() {
    let log = Log::default();
    let error = start(&log, |bootstrap| bootstrap).config("mysql.default", 3).await.unwrap_err();
    let error = format!("{error:?}");
    assert!(error.contains("module database") && error.contains("mysql.default"), "{error}");
}

#[tokio::test]
async fn a_section_that_is_no_table_is_an_error_too() {
    let quiet = module("quiet", |m| {
        m.family("redis", async |_: Settings, _: String| Ok(7_u8));
        Ok(())
    });
    let bootstrap = start(&Log::default(), |bootstrap| bootstrap.module(quiet));
    let error = bootstrap.config("redis", "here").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "module quiet: override of redis, key redis: expected a table, found \"here\"",
    );
}

#[tokio::test]
async fn a_value_of_default_that_does_not_fit_is_told_as_one_of_default() {
    let error = start(&Log::default(), |bootstrap| bootstrap)
        .config("mysql.default.host", json!([1]))
        .await
        .unwrap_err();
    for (name, fault) in ["db1", "db2"].iter().zip(error.parts()) {
        let text = fault.to_string();
        let key = format!("mysql.default, key mysql.clients.{name}.host: ");
        assert!(text.contains(&key), "{text}");
    }
    assert_eq!(error.parts().len(), 2);
}

#[tokio::test]
async fn a_member_whose_name_another_provider_has_is_an_error() {
    let other = module("other", |m| {
        m.providers().provide_value(Arc::new(Pool("own".to_owned()))).named("db1");
        Ok(())
    });
    let log = Log::default();
    let error = start(&log, |bootstrap| bootstrap.module(other)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Pool \"db1\" is provided by module other and by module database",
    );
    assert!(log.entries().is_empty());
}

#[tokio::test]
async fn a_member_whose_name_is_no_part_of_a_key_is_an_error() {
    let odd = json!({ "mysql": { "clients": { "a.b": {}, "": {} } } });
    let error =
        start(&Log::default(), |bootstrap| bootstrap.default_config(odd)).await.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "module database: names of instances do not fit\n  stage: before\n  \
         mysql.clients: \"\" cannot be the name of an instance\n    \
         help: use a name without a dot that is not empty\n  \
         mysql.clients: \"a.b\" cannot be the name of an instance\n    \
         help: use a name without a dot that is not empty\n",
    );
}

#[tokio::test]
async fn a_private_familys_members_are_private() {
    #[derive(Provide)]
    struct Archive {
        #[inject(name = "db1")]
        _pool: Arc<u16>,
    }
    let owner = module("owner", |m| {
        m.private(|m| {
            m.family("shards", async |_: serde_json::Value, _: String| Ok(7_u16));
        });
        Ok(())
    });
    let archive = module("archive", |m| {
        m.provide::<Archive>();
        Ok(())
    });
    let bootstrap = |bootstrap: Bootstrap| bootstrap.module(owner).module(archive);
    let error = start(&Log::default(), bootstrap).config("shards.clients.db1.x", 1).await;
    let error = error.map(drop).unwrap_err().to_string();
    assert!(error.starts_with("Archive (module archive) → u16"), "{error}");
    assert!(error.ends_with("it is private to module owner"), "{error}");
}
