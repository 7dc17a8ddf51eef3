//! One table of cases, executed on all four protocols with the same expectations in each.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod app;
mod drivers;
mod refused;
mod table;

use futures_util::future::join_all;
use polyport::{FaultKind, testing::*};
use serde_json::Value;

use self::drivers::{Driver, drivers};

/// One call, and what has to come of it whatever the protocol.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// What it shows.
    name: &'static str,
    /// The operation, whose name is its path, event, method and queue.
    operation: &'static str,
    input: Value,
    /// Headers, frame metadata, gRPC metadata, AMQP headers.
    metadata: Vec<(&'static str, &'static str)>,
    expected: Expected,
}

/// What has to come of a call.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    /// Exactly this value.
    Value(Value),
    /// A fault of this kind and reason, whose details name exactly these fields.
    Fault(FaultKind, &'static str, Vec<&'static str>),
}

/// What came of a call.
pub(crate) type Outcome = Result<Value, Refused>;

/// A fault as a client sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refused {
    pub(crate) kind: FaultKind,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
}

impl Refused {
    /// The fields that its details name, by name.
    fn fields(&self) -> Vec<&str> {
        let details = self.details.as_ref().and_then(Value::as_array);
        let fields = details.into_iter().flatten().filter_map(|detail| detail["field"].as_str());
        let mut fields: Vec<_> = fields.collect();
        fields.sort_unstable();
        fields
    }
}

impl Case {
    /// What is wrong with `outcome`, if anything is.
    fn complaint(&self, driver: &Driver, outcome: &Outcome) -> Option<String> {
        let is_met = match (&self.expected, outcome) {
            (Expected::Value(expected), Ok(value)) => expected == value,
            (Expected::Fault(kind, reason, fields), Err(fault)) => {
                fault.kind == *kind && fault.reason == *reason && fault.fields() == *fields
            }
            _ => false,
        };
        (!is_met).then(|| {
            format!(
                "{} on {}: expected {:?}, got {outcome:?}",
                self.name,
                driver.name(),
                self.expected
            )
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_comes_to_the_same_on_every_protocol() {
    let cases = table::cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let app = create_bootstrap(app::bootstrap()).root("no/such/folder").await.expect("starts");
    let drivers = drivers(&app).await;
    let run = async |case: &Case| {
        let mut complaints = Vec::new();
        for driver in &drivers {
            let outcome = driver.call(case).await;
            complaints.extend(case.complaint(driver, &outcome));
        }
        complaints
    };
    let complaints: Vec<_> = join_all(cases.iter().map(run)).await.concat();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    drop(drivers);
    app.close().await.expect("stops cleanly");
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<_> = table::cases().iter().map(|case| case.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
