//! What becomes of AMQP messages when operations go wrong, when there are many, and at start and
//! stop; with RabbitMQ, whose queues are looked at from outside.

use std::time::Duration;

use crate::{
    owned::shared,
    program::{Gate, Program, answer, connect, within},
    rabbitmq::Queue,
};

/// What one queue of a program brings along.
const SUFFIXES: [&str; 6] =
    ["dead", "retry.50ms", "guarded", "guarded.dead", "guarded.retry.50ms", "none"];

/// `tests/fixtures/faults.rs` with a queue of its own.
struct Case {
    url: String,
    queue: Queue,
    gate: Gate,
}

impl Case {
    fn new() -> Option<Self> {
        let url = shared()?;
        Some(Self { queue: Queue::on(&url), url, gate: Gate::new() })
    }

    fn start(&self) -> Program {
        let variables = [
            ("POLYPORT__AMQP__URL", self.url.as_str()),
            ("POLYPORT__AMQP__RETRY__DELAYS", r#"["50ms"]"#),
            ("POLYPORT__FAULTS__QUEUE", self.queue.name.as_str()),
            ("POLYPORT__FAULTS__GATE", self.gate.path()),
        ];
        Program::of("faults", &variables)
    }

    async fn depth_of(&self, suffix: &str) -> u32 {
        self.queue.client.queue_depth(&self.queue.beside(suffix)).await
    }

    async fn end(self) {
        self.queue.delete(&SUFFIXES).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_ends_in_a_fault_a_panic_or_a_guard_is_parked_and_never_left_unacknowledged()
{
    let Some(case) = Case::new() else { return };
    let (mut program, queue) = (case.start(), &case.queue);
    program.ready();
    for name in ["fail", "panic"] {
        queue.send(&queue.name, name).await;
    }
    queue.send(&queue.beside("guarded"), "anything").await;
    let mut parked = Vec::new();
    for _ in 0..2 {
        let message = queue.client.expect_on(&queue.beside("dead")).await;
        assert_eq!(message.header("x-exception-kind").as_deref(), Some("INTERNAL"));
        parked.push(String::from_utf8_lossy(message.body()).into_owned());
    }
    parked.sort();
    assert_eq!(parked, [r#"{"name":"fail"}"#, r#"{"name":"panic"}"#]);
    let refused = queue.client.expect_on(&queue.beside("guarded.dead")).await;
    assert_eq!(refused.header("x-exception-reason").as_deref(), Some("NOT_YOU"));
    // The consumer goes on.
    queue.send(&queue.name, "fine").await;
    program.until_journal("fine");
    let ended = program.stop();
    ended.assert_code(0);
    assert_eq!([ended.count("fail"), ended.count("panic")], [2, 2], "each is tried twice");
    assert_eq!(ended.count("secret"), 0, "{}", ended.said);
    // What had stayed unacknowledged would have come back when its consumer ended.
    assert_eq!(queue.depth().await, 0);
    for suffix in ["dead", "retry.50ms", "guarded", "guarded.dead"] {
        assert_eq!(case.depth_of(suffix).await, 0, "{suffix}");
    }
    case.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_messages_are_handled_sixteen_at_once_by_default() {
    const MESSAGES: usize = 5_000;
    let Some(case) = Case::new() else { return };
    case.queue.fill(r#"{"name":"wait"}"#, MESSAGES).await;
    let mut program = case.start();
    let http = program.ready().of("http");
    let gauge = || -> [usize; 3] {
        let mut stream = connect(http);
        let request = b"GET /gauge HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        std::io::Write::write_all(&mut stream, request).expect("is sent");
        let answer = answer(stream);
        let numbers = answer.split_once("\r\n\r\n").expect("is answered").1;
        serde_json::from_str(numbers).expect("three numbers")
    };
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    // Twice as many as are handled are sent ahead, and no more.
    within(async {
        while (gauge()[0], case.queue.depth().await) != (16, MESSAGES - 32) {
            tick.tick().await;
        }
    })
    .await;
    case.gate.open();
    within(async {
        while gauge()[1] < MESSAGES {
            tick.tick().await;
        }
    })
    .await;
    assert_eq!(gauge(), [0, MESSAGES, 16]);
    program.stop().assert_code(0);
    assert_eq!(case.queue.depth().await, 0);
    case.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_header_property_or_envelope_is_handled() {
    let Some(case) = Case::new() else { return };
    case.queue.fill(r#"{"name":"bare"}"#, 1).await;
    let mut program = case.start();
    program.until_journal("bare");
    program.ready();
    let ended = program.stop();
    ended.assert_code(0);
    assert_eq!(ended.count("bare"), 1);
    assert_eq!((case.queue.depth().await, case.depth_of("dead").await), (0, 0));
    case.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_in_flight_at_the_stop_are_finished_once_and_the_others_stay_with_the_broker() {
    const MESSAGES: usize = 40;
    let Some(case) = Case::new() else { return };
    case.queue.fill(r#"{"name":"wait"}"#, MESSAGES).await;
    let mut program = case.start();
    for _ in 0..16 {
        program.until_journal("wait");
    }
    program.ready();
    program.signal("-TERM");
    // It tells what it waits for, and waits.
    program.until("draining", |event| event["message"] == "draining" && event["calls"] == 16);
    case.gate.open();
    let ended = program.end();
    ended.assert_code(0);
    assert_eq!([ended.count("wait"), ended.count("waited")], [16, 16], "{}", ended.said);
    assert_eq!(case.queue.depth().await, MESSAGES - 16, "neither lost nor to be done twice");
    case.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_taken_before_on_ready_has_finished() {
    let Some(case) = Case::new() else { return };
    case.queue.fill(r#"{"name":"0"}"#, 1).await;
    let variables =
        [("POLYPORT__AMQP__URL", &*case.url), ("POLYPORT__STAGES__QUEUE", &*case.queue.name)];
    let mut program = Program::faulty("on_ready", case.gate.path(), &variables);
    program.until_journal("hangs");
    assert_eq!(case.queue.depth().await, 1);
    case.gate.open();
    program.until_journal("work");
    program.ready();
    let ended = program.stop();
    ended.assert_code(0);
    let at = |entry: &str| ended.journal().iter().position(|noted| noted == entry);
    assert!(at("on_ready") < at("serve") && at("serve") < at("work"), "{}", ended.said);
    assert_eq!(case.queue.depth().await, 0);
    case.queue.delete(&["dead", "retry.1s", "retry.5s", "retry.30s"]).await;
}
