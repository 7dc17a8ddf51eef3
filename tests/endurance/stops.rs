//! Processes that are stopped while others take over, under load.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use serde_json::{Value, json};
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    faults::blocking,
    program::{Ended, Program, unique},
    rabbitmq::Owned,
    rounds,
};

const QUEUE: &str = "slow.work";
const PATIENCE: Duration = Duration::from_secs(60);
/// How much more is under way before the next process is stopped.
const BETWEEN: usize = 40;

/// Two instances of the application, and what each has begun.
struct Instances {
    url: String,
    journal: PathBuf,
    millis: &'static str,
    drain: &'static str,
    running: Vec<Program>,
    /// Messages whose handling was cut, as the processes have said.
    cut: BTreeSet<String>,
}

impl Instances {
    fn start(url: &str, millis: &'static str, drain: &'static str) -> Self {
        let journal = std::env::temp_dir().join(unique());
        let (url, running, cut) = (url.to_owned(), Vec::new(), BTreeSet::new());
        let mut instances = Self { url, journal, millis, drain, running, cut };
        (0..2).for_each(|_| instances.add());
        instances
    }

    fn add(&mut self) {
        let mut program = Program::of(
            "slow",
            &[
                ("POLYPORT__AMQP__URL", self.url.as_str()),
                ("POLYPORT__SLOW__JOURNAL", self.journal.to_str().expect("is text")),
                ("POLYPORT__SLOW__MILLIS", self.millis),
                ("POLYPORT__SHUTDOWN__DRAIN", self.drain),
            ],
        );
        program.ready();
        self.running.push(program);
    }

    /// SIGTERM to the older one, and another in its place.
    fn replace(&mut self) {
        let older = self.running.remove(0);
        older.signal("-TERM");
        self.add();
        let ended = older.end();
        self.note_cut(&ended);
    }

    fn note_cut(&mut self, ended: &Ended) {
        let events = ended.said.lines().filter_map(|line| serde_json::from_str(line).ok());
        let cut = events.filter_map(|event: Value| {
            let is_cut = event["message"].as_str()?.contains("cut off by the stop");
            is_cut.then(|| event["message_id"].as_str().unwrap_or_default().to_owned())
        });
        let cut: Vec<_> = cut.collect();
        // A stop that had to cut something is not a clean one.
        ended.assert_code(if cut.is_empty() { 0 } else { 75 });
        self.cut.extend(cut);
    }

    fn begun(&self) -> BTreeMap<String, usize> {
        let mut begun = BTreeMap::new();
        let text = std::fs::read_to_string(&self.journal).unwrap_or_default();
        text.lines().for_each(|name| *begun.entry(name.to_owned()).or_default() += 1);
        begun
    }

    async fn until_begun(&self, count: usize) {
        let mut begun = self.begun().len();
        while begun < count {
            let next = timeout(PATIENCE, self.until_more_than(begun)).await;
            begun = next.unwrap_or_else(|_| panic!("{begun} of {count} were begun"));
        }
    }

    async fn until_more_than(&self, count: usize) -> usize {
        let mut check = interval(Duration::from_millis(20));
        loop {
            check.tick().await;
            let begun = self.begun().len();
            if begun > count {
                return begun;
            }
        }
    }

    fn stop(&mut self) {
        while let Some(program) = self.running.pop() {
            let ended = program.stop();
            self.note_cut(&ended);
        }
    }
}

/// Publishes names until it is stopped; gives how many were confirmed, which is all of them.
async fn publish(url: String, stop: CancellationToken) -> usize {
    let connection = Connection::connect(&url, ConnectionProperties::default()).await;
    let connection = connection.expect("connects");
    let channel = connection.create_channel().await.expect("opens");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let mut pace = interval(Duration::from_millis(4));
    let mut count = 0;
    while !stop.is_cancelled() {
        pace.tick().await;
        let name = format!("m{count}");
        let properties =
            BasicProperties::default().with_delivery_mode(2).with_message_id(name.as_str().into());
        let body = json!({ "name": name }).to_string();
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent =
            channel.basic_publish("".into(), QUEUE.into(), options, body.as_bytes(), properties);
        let confirmed = sent.await.expect("is sent").await.expect("is confirmed");
        assert!(confirmed.is_ack() && confirmed.take_message().is_none());
        count += 1;
    }
    connection.close(200, "done".into()).await.expect("closes");
    count
}

async fn replaced_under_load(millis: &'static str, drain: &'static str) -> Option<Instances> {
    let broker = blocking!(Owned::start())?;
    let mut instances = blocking!(Instances::start(&broker.url, millis, drain));
    let stop = CancellationToken::new();
    let publishing = tokio::spawn(publish(broker.url.clone(), stop.clone()));
    for _ in 0..rounds() {
        let begun = instances.begun().len();
        instances.until_begun(begun + BETWEEN).await;
        blocking!(instances.replace());
    }
    stop.cancel();
    let sent = publishing.await.expect("publishes");
    instances.until_begun(sent).await;
    blocking!(instances.stop());
    let begun = instances.begun();
    let twice: Vec<_> =
        begun.iter().filter(|(_, times)| **times > 1).map(|(name, _)| name).collect();
    eprintln!(
        "{} × SIGTERM, {millis} ms a message, {drain} to drain: {sent} sent, {} lost, {} handled \
         twice, {} told to be cut",
        rounds(),
        sent - begun.len(),
        twice.len(),
        instances.cut.len(),
    );
    assert_eq!(begun.len(), sent, "every message is handled");
    let untold: Vec<_> = twice.iter().filter(|name| !instances.cut.contains(**name)).collect();
    assert!(untold.is_empty(), "handled twice, and not told: {untold:?}");
    Some(instances)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_with_two_instances_loses_nothing_and_does_nothing_twice() {
    let Some(instances) = replaced_under_load("20", "10s").await else { return };
    assert!(instances.cut.is_empty(), "{:?}", instances.cut);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_cut_at_the_deadline_is_handled_twice_and_the_stop_names_it() {
    let Some(instances) = replaced_under_load("400", "50ms").await else { return };
    assert!(!instances.cut.is_empty(), "nothing was cut, and so nothing shown");
}
