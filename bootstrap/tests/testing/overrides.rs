//! What a test changes about the application.

use polyport_bootstrap::{Bootstrap, Config, Error, Result, module};
use serde_json::json;

use crate::support::{
    Log,
    calls::{alone, fake, unwrapped},
};

/// An application with a module that says whether it is on.
fn audited(log: &Log) -> Bootstrap {
    let log = log.clone();
    fake().module(module("audit", move |_| {
        log.add("audit");
        Ok(())
    }))
}

#[tokio::test]
async fn a_module_is_turned_off_and_on() -> Result<()> {
    let log = Log::default();
    alone(audited(&log)).without_module("audit").await?.close().await?;
    assert_eq!(log.count("audit"), 0);
    alone(audited(&log)).module("audit", true).await?.close().await?;
    assert_eq!(log.count("audit"), 1);
    Ok(())
}

#[tokio::test]
async fn a_module_that_there_is_not_cannot_be_turned_off() {
    let error = alone(audited(&Log::default())).without_module("audits").await.unwrap_err();
    let report = unwrapped(&format!("{error:?}"));
    assert!(report.contains("there is no module \"audits\"; the nearest is \"audit\""), "{report}");
}

#[tokio::test]
async fn a_module_of_the_tests_own_is_added() {
    let own = module("own", |_| Err(Error::wiring("is asked")));
    let error = alone(fake()).with_module(own).await.unwrap_err();
    assert_eq!(error.to_string(), "module own: is asked");
}

/// An application that reads a section that nobody has declared.
fn paged() -> Bootstrap {
    fake().on_ready(async |container| {
        let config = container.get::<Config>().await?;
        config.get_or_default::<u32>("users.page_size").map(drop)
    })
}

#[tokio::test]
async fn an_override_that_nobody_knows_is_an_error_with_the_nearest_key() {
    for (key, said) in [
        (
            "shutdwon.drain",
            "override of shutdwon.drain: nobody knows shutdwon.drain; the nearest is shutdown",
        ),
        (
            "users.page_sise",
            "override of users.page_sise: nobody knows users.page_sise; the nearest is users.page_size",
        ),
        ("invoices.due", "override of invoices.due: nobody knows invoices.due"),
    ] {
        let error = alone(paged()).config(key, 1).await.expect_err(key);
        assert_eq!(error.exit_code(), 78, "{error:?}");
        let report = unwrapped(&format!("{error:?}"));
        assert!(report.contains(said), "{report}");
    }
}

#[tokio::test]
async fn an_override_of_what_is_read_declared_or_set_is_none() -> Result<()> {
    let set = paged().default_config(json!({ "invoices": { "due": "30d" } }));
    let app = alone(set).config("users.page_size", 1).config("shutdown.drain", "1s");
    app.config("invoices.late", "60d").config("app.name", "shop").await?.close().await
}

#[tokio::test]
async fn an_empty_key_is_an_error() {
    for key in ["", "users..page_size", "users."] {
        let error = alone(paged()).config(key, 1).await.expect_err("has an empty part");
        let said = format!("override of {key:?}: a key has no empty parts");
        assert!(unwrapped(&format!("{error:?}")).contains(&said), "{error:?}");
    }
}

#[tokio::test]
async fn a_module_with_a_point_in_its_name_is_a_module_like_any_other() -> Result<()> {
    let dotted = || fake().module(module("shop.audit", |_| Err(Error::wiring("is asked"))));
    alone(dotted()).without_module("shop.audit").await?.close().await?;
    let error = alone(fake()).without_module("shop.audit").await.expect_err("there is none");
    let report = unwrapped(&format!("{error:?}"));
    assert!(report.contains("there is no module \"shop.audit\""), "{report}");
    assert!(!report.contains("modules.shop.audit: "), "is told once: {report}");
    Ok(())
}
