//! What is measured of a server, and what becomes of the figures of several rounds.

use serde::Serialize;

/// What a figure is of. Less is better, except of [`Rate`](Kind::Rate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Nanoseconds of the server's processor for a call.
    Cpu,
    /// Answered calls a second, with as many under way as the row says.
    Rate,
    /// Nanoseconds from when a call was due to its answer, the median at a fixed rate.
    Latency,
    /// Bytes of the server's resident memory.
    Resident,
    /// Bytes of resident memory for one more connection.
    Connection,
    /// Nanoseconds from the start of the process to its first answer.
    Start,
    /// Which part of the time the load had its core while [`Rate`](Kind::Rate) was measured; with a
    /// broker, which part of it that core was busy.
    Load,
}

impl Kind {
    /// What the column is called.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Cpu => "CPU a call",
            Self::Rate => "calls/s",
            Self::Latency => "median latency",
            Self::Resident => "RSS",
            Self::Connection => "a connection",
            Self::Start => "first answer",
            Self::Load => "load's core",
        }
    }

    /// A figure as people read it.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Cpu | Self::Latency => format!("{:.2} µs", value / 1e3),
            Self::Rate => format!("{value:.0}"),
            Self::Resident => format!("{:.1} MB", value / 1e6),
            Self::Connection => format!("{:.2} kB", value / 1e3),
            Self::Start => format!("{:.2} ms", value / 1e6),
            Self::Load => format!("{:.0} %", value * 100.0),
        }
    }
}

/// All figures of one server in one round; the first kind is what the row is about.
pub(crate) type Figures = Vec<(Kind, f64)>;

/// The middle of several, and how far they are apart.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: f64::midpoint(below, above), low, high })
    }

    /// Whether rounds have said both: more, and less than the baseline.
    pub(crate) fn shows_no_difference(&self) -> bool {
        self.low <= 1.0 && self.high >= 1.0
    }
}
