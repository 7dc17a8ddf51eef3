//! Every stage of the start and the stop × `kill -9` of RabbitMQ.

use crate::{
    owned::Owned,
    program::{Ended, Gate, Program},
    rabbitmq::Queue,
};

/// Places of the start before anything is consumed, and the stage that finds the broker dead.
const START: [(&str, &str); 10] = [
    ("configure", "bind"),
    ("before", "bind"),
    ("config_did_load", "bind"),
    ("build", "bind"),
    ("did_load", "bind"),
    ("singleton", "bind"),
    ("will_ready", "bind"),
    ("bind", "bind"),
    ("on_ready", "serve"),
    ("serve", "serve"),
];

const STOP: [&str; 7] =
    ["on_stopping", "stop_intake", "drain", "before_close", "dispose", "close", "closed"];

/// Where everything is served, and nothing asks for the stop yet.
const SERVED: &str = "on_server_ready";

/// A stage that only lasts: there is no code in it.
const DELAY: &str = "delay";

/// Long deadlines: nothing must be late while it waits for the others.
const LONG: [(&str, &str); 7] = [
    ("POLYPORT__SHUTDOWN__ON_STOPPING", "30s"),
    ("POLYPORT__SHUTDOWN__INTAKE", "30s"),
    ("POLYPORT__SHUTDOWN__DRAIN", "30s"),
    ("POLYPORT__SHUTDOWN__BEFORE_CLOSE", "30s"),
    ("POLYPORT__SHUTDOWN__DISPOSE", "30s"),
    ("POLYPORT__SHUTDOWN__CLOSE", "30s"),
    ("POLYPORT__SHUTDOWN__CLOSED", "30s"),
];

/// Programs that each wait at a place of its own until the broker is dead.
struct Bereaved {
    gate: Gate,
    programs: Vec<(&'static str, Program)>,
}

impl Bereaved {
    fn start(broker: &Owned, queue: &str, places: impl Iterator<Item = &'static str>) -> Self {
        let gate = Gate::new();
        let start = |place| {
            let mut variables = LONG.to_vec();
            let (url, delay) = (broker.url.as_str(), if place == DELAY { "5s" } else { "0s" });
            variables.extend([("POLYPORT__AMQP__URL", url), ("POLYPORT__STAGES__QUEUE", queue)]);
            variables.push(("POLYPORT__SHUTDOWN__DELAY", delay));
            (place, Program::faulty(place, gate.path(), &variables))
        };
        let programs = places.map(start).collect();
        Self { gate, programs }
    }

    fn each(&mut self, mut prepare: impl FnMut(&str, &mut Program)) {
        self.programs.iter_mut().for_each(|(place, program)| prepare(place, program));
    }

    /// Kills the broker, lets all of them go on, and shows what becomes of each.
    fn kill(self, broker: &Owned, mut see: impl FnMut(&str, Program)) {
        broker.kill();
        self.gate.open();
        self.programs.into_iter().for_each(|(place, program)| see(place, program));
    }
}

fn assert_rolled_back(ended: &Ended, stage: &str) {
    ended.assert_code(69);
    ended.assert_says("error: framework amqp: ");
    ended.assert_says(&format!("stage: {stage}"));
    for place in ["close", "closed"] {
        assert_eq!(ended.count(place), 1, "{place}: {}", ended.said);
    }
    let was_built = ended.count("singleton");
    assert_eq!(ended.count("dispose"), was_built, "{}", ended.said);
    assert_eq!(ended.count("work"), 0, "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_at_any_stage_of_the_start_is_named_and_the_start_is_rolled_back() {
    let Some(mut broker) = Owned::start() else { return };
    let queue = Queue::on(&broker.url);
    queue.fill("", 0).await;
    // Persistent and confirmed: it outlives the broker.
    queue.send(&queue.name, "0").await;
    let places = START.iter().map(|(place, _)| *place);
    let mut bereaved = Bereaved::start(&broker, &queue.name, places);
    bereaved.each(|_, program| program.until_journal("hangs"));
    let mut stages = START.iter().map(|(_, stage)| stage);
    bereaved.kill(&broker, |_, program| {
        assert_rolled_back(&program.end(), stages.next().expect("one for each"));
    });
    // The message is where it was, and the same program takes it when the broker is back.
    broker.restart();
    assert_eq!(Queue::on(&broker.url).client.queue_depth(&queue.name).await, 1);
    let variables =
        [("POLYPORT__AMQP__URL", &*broker.url), ("POLYPORT__STAGES__QUEUE", &queue.name)];
    let mut program = Program::start(&variables);
    program.until_journal("work");
    program.ready();
    program.stop().assert_code(0);
    assert_eq!(Queue::on(&broker.url).client.queue_depth(&queue.name).await, 0);
}

#[test]
fn a_broker_that_is_killed_when_all_is_served_or_at_any_stage_of_the_stop_skips_nobody() {
    let Some(broker) = Owned::start() else { return };
    let places = [SERVED, DELAY].into_iter().chain(STOP);
    let mut bereaved = Bereaved::start(&broker, "stages.work", places);
    bereaved.each(|place, program| {
        if place != SERVED {
            program.ready();
            program.signal("-TERM");
        }
    });
    bereaved.each(|place, program| {
        program.until_journal(if place == DELAY { "on_stopping" } else { "hangs" });
    });
    bereaved.kill(&broker, |place, mut program| {
        if place == SERVED {
            program.ready();
            program.signal("-TERM");
        }
        let ended = program.end();
        ended.assert_code(0);
        for place in STOP {
            assert_eq!(ended.count(place), 1, "{place}: {}", ended.said);
        }
    });
}
