//! What is measured, and for how long.

use std::time::Duration;

use polyport::{Error, Result};

pub(crate) const HELP: &str = "\
usage: cargo bench -p side-by-side -- [ROW...] [--others] [--quick] [--rounds N]

Measures the rows whose names begin with one of these words (http, http-get, websocket, grpc, amqp,
start ...), by default all. Says at the start how long that takes.

--others    also builds and measures actix-web, summer-rs and fastwebsockets
--quick     two short rounds: enough to see that everything runs, not to tell a difference
--rounds N  how often all servers of a row take their turns: 7 by default, at least 5 for a result

AMQP is measured on the broker that POLYPORT_TEST_AMQP_URL names, or else on a RabbitMQ that
scripts/rabbitmq starts on the core of the load and stops at the end.

The tables are printed. target/side-by-side/ has them as results.md (the section Figures of
docs/performance.md), all figures of all rounds as results.json, and the ratios as results.svg.
";

/// Rounds of a run.
const ROUNDS: usize = 7;
/// With fewer, a range says too little.
pub(crate) const FEWEST: usize = 5;

/// What the command line says.
pub(crate) struct Options {
    rows: Vec<String>,
    pub(crate) help: bool,
    pub(crate) others: bool,
    pub(crate) rounds: usize,
    /// For how long a server is warmed up, loaded with all it can take, and with a fixed rate.
    pub(crate) warm_up: Duration,
    pub(crate) saturated: Duration,
    pub(crate) at_rate: Duration,
}

impl Options {
    pub(crate) fn read(words: &[String]) -> Result<Self> {
        let mut options = Self {
            rows: Vec::new(),
            help: false,
            others: false,
            rounds: ROUNDS,
            warm_up: Duration::from_millis(200),
            saturated: Duration::from_millis(1000),
            at_rate: Duration::from_millis(500),
        };
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "--bench" => {}
                "--help" | "-h" => options.help = true,
                "--others" => options.others = true,
                "--quick" => options.hurry(),
                "--rounds" => options.rounds = rounds(words.next())?,
                row if !row.starts_with('-') => options.rows.push(row.to_owned()),
                other => {
                    let error = Error::other(format!("there is no option {other}"));
                    return Err(error.advise("see --help"));
                }
            }
        }
        Ok(options)
    }

    fn hurry(&mut self) {
        self.rounds = 2;
        self.warm_up = Duration::from_millis(50);
        self.saturated = Duration::from_millis(200);
        self.at_rate = Duration::from_millis(100);
    }

    /// Whether the row of that name is measured.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|begins| row.starts_with(begins.as_str()))
    }
}

fn rounds(word: Option<&str>) -> Result<usize> {
    word.and_then(|word| word.parse().ok()).filter(|rounds| *rounds > 0).ok_or_else(|| {
        Error::other("--rounds takes a number above 0").advise("see --help: --rounds 7")
    })
}
