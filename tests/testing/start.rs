//! Every failure of the start-up table, seen through `create_bootstrap`: its report is an error.
//! The same table stands in `tests/lifecycle/start.rs`, for the process as a whole.

use std::time::Duration;

use futures_util::future::join_all;
use polyport::{Bootstrap, Error, Phase, amqp::AmqpFramework, testing::create_bootstrap};
use tokio::runtime::Builder;

use crate::{free_port::FreePort, stages::bootstrap};

/// A place in the start: its name, its stage, and who is named where it hangs.
const PLACES: [(&str, &str, &str); 11] = [
    ("configure", "modules", "module app"),
    ("before", "before", "before-hook 1"),
    ("config_did_load", "build", "hook config_did_load of module app"),
    ("build", "build", "framework probe"),
    ("did_load", "check", "hook did_load of module app"),
    ("singleton", "singletons", "Pool"),
    ("will_ready", "singletons", "hook will_ready of module app"),
    ("bind", "bind", "framework probe"),
    ("on_ready", "on_ready", "hook on_ready of module app"),
    ("serve", "serve", "framework probe"),
    ("on_server_ready", "serve", "hook on_server_ready of module app"),
];

const CODES: [u8; 11] = [70, 71, 71, 70, 71, 71, 71, 69, 71, 69, 71];

/// Places where code cannot wait: what hangs there keeps its thread.
const BLOCK: [&str; 2] = ["configure", "build"];

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the application with a fault at each place, all at once, and gives what comes back when
/// all of it is rolled back.
async fn each(how: &str, config: &[(&str, &str)]) -> Vec<Error> {
    let start = |(place, ..): (&str, &str, &str)| {
        let mut test = create_bootstrap(bootstrap()).root("no/such/folder");
        test = test.config("fault.at", place).config("fault.how", how);
        test = config.iter().fold(test, |test, (key, value)| test.config(*key, value));
        let (lifecycle, start) = test.starting();
        async move {
            let started = tokio::time::timeout(PATIENCE, start).await.expect("hangs");
            assert_eq!(lifecycle.reached(Phase::Stopped).await, Phase::Stopped);
            started.expect_err("must not start")
        }
    };
    join_all(PLACES.into_iter().map(start)).await
}

/// A report without its line breaks.
fn report(error: &Error) -> String {
    format!("{error:?}").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn an_error_at_any_stage_comes_back_with_its_place_and_exit_code() {
    let errors = each("error", &[]).await;
    for ((error, (place, stage, culprit)), code) in errors.iter().zip(PLACES).zip(CODES) {
        let report = report(error);
        assert!(report.contains(&format!("fault at {place}")), "{place}: {report}");
        assert!(report.contains(culprit), "{place}: {report}");
        assert!(report.contains(&format!("stage: {stage}")), "{place}: {report}");
        assert_eq!(error.exit_code(), code, "{place}: {report}");
    }
}

#[tokio::test]
async fn a_panic_at_any_stage_comes_back_as_an_error() {
    for (error, (place, ..)) in each("panic", &[]).await.iter().zip(PLACES) {
        let report = report(error);
        assert!(report.contains(&format!("panicked: fault at {place}")), "{report}");
        assert_eq!(error.exit_code(), 71, "{report}");
    }
}

#[tokio::test]
async fn whoever_hangs_at_any_stage_is_named_at_the_deadline_of_the_stage() {
    // The others keep a thread, which no deadline gives back.
    let places = PLACES.into_iter().filter(|(place, ..)| !BLOCK.contains(place));
    let hangs = places.map(|(place, stage, culprit)| async move {
        let test = create_bootstrap(bootstrap()).root("no/such/folder");
        let test = test.config(format!("startup.{stage}"), "2s");
        let test = test.config("fault.at", place).config("fault.how", "hang");
        let error = tokio::time::timeout(PATIENCE, test).await.expect("hangs");
        let error = error.expect_err("must not start");
        let report = report(&error);
        assert!(report.contains(&format!("stage {stage}, waiting for ")), "{place}: {report}");
        assert!(report.contains(culprit), "{place}: {report}");
        assert_eq!(error.exit_code(), 75, "{place}: {report}");
    });
    join_all(hangs).await;
}

/// Their runtime is not waited for, since a thread of it never ends.
#[test]
fn whoever_blocks_where_nobody_can_wait_is_named_at_the_deadline_of_the_test() {
    for (place, stage, culprit) in PLACES.into_iter().filter(|(place, ..)| BLOCK.contains(place)) {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("can be built");
        let test = create_bootstrap(bootstrap()).root("no/such/folder");
        let test = test.config("fault.at", place).config("fault.how", "hang");
        let test = test.start_within(Duration::from_secs(2));
        let start = async { tokio::time::timeout(PATIENCE, test).await.expect("hangs") };
        let error = runtime.block_on(start).expect_err("must not start");
        runtime.shutdown_background();
        let report = report(&error);
        assert!(report.contains("not ready after 2s"), "{place}: {report}");
        assert!(report.contains(&format!("stage {stage}, waiting for ")), "{place}: {report}");
        assert!(report.contains(culprit), "{place}: {report}");
        assert_eq!(error.exit_code(), 75, "{place}: {report}");
    }
}

#[tokio::test]
async fn ports_in_use_come_back_together() {
    let [http, grpc] = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("free"));
    let port = |taken: &std::net::TcpListener| taken.local_addr().expect("is bound").port();
    let test = create_bootstrap(bootstrap()).root("no/such/folder").configured_ports();
    let test = test.config("http.port", port(&http)).config("grpc.port", port(&grpc));
    let error = test.await.expect_err("must not start");
    assert_eq!(error.exit_code(), 69);
    for (framework, taken) in [("http", &http), ("grpc", &grpc)] {
        let said = format!("framework {framework}: cannot bind 127.0.0.1:{}", port(taken));
        assert!(report(&error).contains(&said), "{said}: {error:?}");
    }
}

#[tokio::test]
async fn a_faulty_configuration_comes_back_as_one_report() {
    let test = create_bootstrap(bootstrap()).root("no/such/folder");
    let test = test.config("http.port", "high").config("startup.bind", "soon");
    let error = test.await.expect_err("must not start");
    assert_eq!(error.exit_code(), 78);
    let report = report(&error);
    assert!(report.contains("http.port") && report.contains("startup.bind"), "{report}");
}

#[tokio::test]
async fn a_stop_that_is_asked_for_during_the_start_comes_back_as_an_error() {
    let test = create_bootstrap(bootstrap()).root("no/such/folder");
    let (lifecycle, start) = test.config("fault.at", "bind").config("fault.how", "hang").starting();
    let stop = async {
        lifecycle.reached_stage(polyport::Stage::Bind).await;
        lifecycle.stop("no longer needed");
    };
    let (started, ()) = tokio::join!(start, stop);
    let error = started.expect_err("must not start");
    assert!(error.to_string().contains("the start was interrupted (no longer needed)"), "{error}");
}

#[tokio::test]
async fn a_port_in_use_comes_back_beside_a_framework_that_hangs_when_it_is_bound() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("is free");
    let port = taken.local_addr().expect("is bound").port();
    let test = create_bootstrap(bootstrap()).root("no/such/folder").configured_ports();
    let test = test.config("http.port", port).config("grpc.port", 0).config("startup.bind", "1s");
    let error = test.config("fault.at", "bind").config("fault.how", "hang").await;
    let error = error.expect_err("must not start");
    assert_eq!(error.exit_code(), 75);
    let report = report(&error);
    assert!(report.contains("stage bind, waiting for framework probe"), "{report}");
    let said = format!("framework http: cannot bind 127.0.0.1:{port}");
    assert!(report.contains(&said), "{report}");
}

#[tokio::test]
async fn a_fault_in_the_first_stage_comes_back_with_exit_code_78() {
    let folder = std::env::temp_dir().join(format!("polyport-{}", uuid::Uuid::now_v7().simple()));
    // Nobody can read a folder as a file.
    std::fs::create_dir_all(folder.join("config/config.default.toml")).expect("can be made");
    let error = create_bootstrap(bootstrap()).root(&folder).await.expect_err("must not start");
    std::fs::remove_dir_all(folder).expect("is there");
    assert_eq!(error.exit_code(), 78, "{error:?}");
    assert!(report(&error).contains("config/config.default.toml"), "{error:?}");

    let test = create_bootstrap(bootstrap()).root("no/such/folder");
    let error = test.config("shutdown.total", "1s").await.expect_err("must not start");
    assert_eq!(error.exit_code(), 78, "{error:?}");
    let said = "shutdown.total is 1s, but a stop may take 30s";
    assert!(report(&error).contains(said), "as it is where it runs: {error:?}");
}

#[tokio::test]
async fn a_broker_that_is_down_comes_back_by_its_address() {
    let nobody = FreePort::reserve();
    let address = nobody.address();
    let test = create_bootstrap(Bootstrap::new().load(AmqpFramework::new())).root("no/such/folder");
    let test = test.config("amqp.url", format!("amqp://{address}/%2f"));
    let error = test.await.expect_err("must not start");
    assert_eq!(error.exit_code(), 69, "{error:?}");
    let said = format!("framework amqp: the AMQP broker at {address} cannot be reached");
    assert!(report(&error).contains(&said), "{error:?}");
}
