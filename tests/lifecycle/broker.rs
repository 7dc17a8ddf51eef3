//! Every stage of the start and the stop × the sudden death of the broker.

use std::path::PathBuf;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

use crate::program::{PATIENCE, Program};

/// What the frameworks hear of a broker: its connections, and a port that is gone when it is.
struct Broker {
    runtime: Runtime,
    url: String,
}

impl Broker {
    /// Stands for the broker that the tests run against; `None` where there is none and need not be.
    fn new() -> Option<Self> {
        let Ok(url) = std::env::var("POLYPORT_TEST_AMQP_URL") else {
            assert!(std::env::var_os("CI").is_none(), "no RabbitMQ: run the tests by scripts/test");
            return None;
        };
        let (credentials, rest) = url.rsplit_once('@').expect("an AMQP URL with credentials");
        let (address, vhost) = rest.split_once('/').expect("an AMQP URL ends in a vhost");
        let runtime = Runtime::new().expect("can be started");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let port = listener.local_addr().expect("is bound").port();
        runtime.spawn(pass_on(listener, address.to_owned()));
        Some(Self { runtime, url: format!("{credentials}@127.0.0.1:{port}/{vhost}") })
    }

    /// Closes its port and all connections at once, as the system does for a process that is killed.
    fn kill(self) {
        self.runtime.shutdown_timeout(PATIENCE);
    }
}

async fn pass_on(listener: TcpListener, address: String) {
    while let Ok((mut client, _)) = listener.accept().await {
        let address = address.clone();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(address).await.expect("the broker is there");
            let _ = copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

/// A file whose making lets the program go on.
struct Gate(PathBuf);

impl Gate {
    fn new() -> Self {
        let name = format!("polyport-{}", uuid::Uuid::now_v7().simple());
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self) {
        std::fs::write(&self.0, "").expect("can be made");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The program waits at `place` while its broker dies, and then goes on.
fn bereaved(
    broker: Broker,
    gate: &Gate,
    place: &str,
    prepare: impl FnOnce(&mut Program),
) -> Program {
    let variables = [("POLYPORT__AMQP__URL", broker.url.as_str())];
    let mut program = Program::faulty(place, gate.0.to_str().expect("is text"), &variables);
    prepare(&mut program);
    program.until_journal("hangs");
    broker.kill();
    gate.open();
    program
}

#[test]
fn a_broker_that_dies_during_the_start_is_named_and_the_start_is_rolled_back() {
    for (place, stage) in [
        ("before", "bind"),
        ("config_did_load", "bind"),
        ("did_load", "bind"),
        ("singleton", "bind"),
        ("will_ready", "bind"),
        ("bind", "bind"),
        ("on_ready", "serve"),
        ("serve", "serve"),
    ] {
        let Some(broker) = Broker::new() else { return };
        let ended = bereaved(broker, &Gate::new(), place, |_| ()).end();
        ended.assert_code(69);
        ended.assert_says("error: framework amqp: ");
        ended.assert_says(&format!("stage: {stage}"));
        for place in ["dispose", "close", "closed"] {
            assert_eq!(ended.count(place), 1, "{place}: {}", ended.said);
        }
    }
}

#[test]
fn a_broker_that_dies_when_everything_is_served_keeps_the_start_from_nothing() {
    let Some(broker) = Broker::new() else { return };
    let gate = Gate::new();
    let mut program = bereaved(broker, &gate, "on_server_ready", |_| ());
    program.ready();
    program.stop().assert_code(0);
}

#[test]
fn a_broker_that_dies_at_any_stage_of_the_stop_skips_nobody() {
    const PLACES: [&str; 7] =
        ["on_stopping", "stop_intake", "drain", "before_close", "dispose", "close", "closed"];
    for place in PLACES {
        let Some(broker) = Broker::new() else { return };
        let gate = Gate::new();
        let program = bereaved(broker, &gate, place, |program| {
            program.ready();
            program.signal("-TERM");
        });
        let ended = program.end();
        ended.assert_code(0);
        for place in PLACES {
            assert_eq!(ended.count(place), 1, "{place}: {}", ended.said);
        }
    }
}
