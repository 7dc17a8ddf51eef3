//! What is measured, and for how long.

use std::time::Duration;

use polyport::{Error, Result};

pub(crate) const HELP: &str = "\
usage: cargo bench -p side-by-side -- [ROW...] [--quick] [--rounds N]

Measures the rows whose names begin with one of these words (http, http-get, websocket, grpc …), by
default all. --quick takes two short rounds: enough to see that everything runs, not to tell a
difference. The tables are printed; target/side-by-side/ has all figures as results.json, and
results.svg.
";

/// Rounds of a run.
const ROUNDS: usize = 7;

/// What the command line says.
pub(crate) struct Options {
    rows: Vec<String>,
    pub(crate) help: bool,
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
            rounds: ROUNDS,
            warm_up: Duration::from_millis(200),
            saturated: Duration::from_millis(1000),
            at_rate: Duration::from_millis(500),
        };
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "--bench" => {}
                "--help" => options.help = true,
                "--quick" => options.hurry(),
                "--rounds" => options.rounds = words.next().unwrap_or_default().parse()?,
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
