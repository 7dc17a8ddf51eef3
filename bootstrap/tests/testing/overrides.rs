//! What a test changes about the application.

use polyport_bootstrap::{Bootstrap, Error, Result, module};

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
