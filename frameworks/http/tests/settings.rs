//! Where the settings of a framework come from, and who else can take them.

mod support;

use std::sync::Arc;

use polyport_bootstrap::{
    Bootstrap, Provide, Settings, config::Config, module, testing::create_bootstrap,
};
use polyport_http::{HttpFramework, HttpSettings};
use support::within;

#[derive(Provide)]
#[provide(crate = polyport_bootstrap)]
struct Limits {
    #[inject]
    http: Settings<HttpSettings>,
    #[inject(name = "admin")]
    admin: Settings<HttpSettings>,
}

fn two() -> Bootstrap {
    Bootstrap::new().load(HttpFramework::new()).load(HttpFramework::named("admin")).module(module(
        "limits",
        |m| {
            m.provide::<Limits>();
            Ok(())
        },
    ))
}

#[tokio::test]
async fn everybody_can_take_the_settings_of_each_framework() {
    within(async {
        let test = create_bootstrap(two()).config("http.body_limit", 5);
        let app = test.config("http_admin.body_limit", 6).await.expect("it starts");
        let limits = app.container().get::<Limits>().await.expect("it is provided");
        assert_eq!((limits.http.get().body_limit, limits.admin.get().body_limit), (5, 6));
        drop(limits);
        app.close().await.expect("it stops");
    })
    .await;
}

#[tokio::test]
async fn settings_given_in_code_or_in_another_section_are_the_ones_to_take() {
    within(async {
        let given = HttpSettings { body_limit: 7, ..HttpSettings::default() };
        let bootstrap = Bootstrap::new()
            .load(HttpFramework::new().configure(given))
            .load(|config: &Config| {
                HttpFramework::named("admin").configure(config.section("servers.admin"))
            })
            .module(module("limits", |m| {
                m.provide::<Limits>();
                Ok(())
            }));
        let app = create_bootstrap(bootstrap).config("servers.admin.body_limit", 8).await;
        let app = app.expect("it starts");
        let limits: Arc<Limits> = app.container().get().await.expect("it is provided");
        assert_eq!((limits.http.get().body_limit, limits.admin.get().body_limit), (7, 8));
        drop(limits);
        app.close().await.expect("it stops");
    })
    .await;
}

#[tokio::test]
async fn the_faults_of_all_frameworks_are_in_one_report_before_one_is_built() {
    within(async {
        let test = create_bootstrap(two()).config("http.prot", 5).config("http.host", "");
        let test = test.config("http_admin.limits.header_timeout", "0s");
        let error = test.config("log.level", 1).await.expect_err("four faults");
        let report = error.parts().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for fault in [
            "key http.prot: unknown key; the nearest is port",
            "key http.host: length is lower than 1, found \"\"",
            "key http_admin.limits.header_timeout: nobody can do it in no time at all",
            "key log.level: expected a string, found 1",
        ] {
            assert!(report.contains(fault), "{report}");
        }
    })
    .await;
}

#[tokio::test]
async fn settings_given_in_code_are_checked_too() {
    within(async {
        let given = HttpSettings { host: String::new(), ..HttpSettings::default() };
        let bootstrap = Bootstrap::new().load(HttpFramework::new().configure(given));
        let error = create_bootstrap(bootstrap).await.expect_err("there is no host");
        assert_eq!(
            error.to_string(),
            "framework http: settings given in code, host: length is lower than 1",
        );
    })
    .await;
}
