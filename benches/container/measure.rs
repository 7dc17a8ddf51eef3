//! Takes turns between cases and keeps the fastest round of each.

use std::{fmt, hint::black_box, time::Instant};

/// Rounds: many and short, so that some of each case are undisturbed.
const ROUNDS: usize = 1000;

/// How long a case runs in a round, about, in nanoseconds.
const ROUND: f64 = 2e5;

/// One thing that is measured.
pub(crate) struct Case {
    name: &'static str,
    run: Box<dyn FnMut(u64)>,
}

impl Case {
    /// What `once` does, as often as it is told to.
    pub(crate) fn new<T>(name: &'static str, mut once: impl FnMut(u64) -> T + 'static) -> Self {
        Self::batch(name, move |times| (0..times).for_each(|turn| drop(black_box(once(turn)))))
    }

    /// As [`new`](Self::new), where the loop is the case's own.
    pub(crate) fn batch(name: &'static str, run: impl FnMut(u64) + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }

    fn nanoseconds(&mut self, times: u64) -> f64 {
        let begun = Instant::now();
        self.turn(times);
        begun.elapsed().as_nanos() as f64 / times as f64
    }

    fn times(&mut self) -> u64 {
        self.nanoseconds(1);
        (ROUND / self.nanoseconds(3).max(1.0)).clamp(1.0, 2e6) as u64
    }

    /// Does it that many times.
    pub(crate) fn turn(&mut self, times: u64) {
        (self.run)(times);
    }
}

/// The figures of one group.
pub(crate) struct Report {
    title: &'static str,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    nanoseconds: f64,
}

/// Measures all cases.
pub(crate) fn run(title: &'static str, mut cases: Vec<Case>) -> Report {
    let times: Vec<_> = cases.iter_mut().map(Case::times).collect();
    let mut fastest = vec![f64::INFINITY; cases.len()];
    for _ in 0..ROUNDS {
        for (index, case) in cases.iter_mut().enumerate() {
            fastest[index] = fastest[index].min(case.nanoseconds(times[index]));
        }
    }
    let row = |(case, nanoseconds): (&Case, f64)| Row { name: case.name, nanoseconds };
    Report { title, rows: cases.iter().zip(fastest).map(row).collect() }
}

impl Report {
    /// Puts what `one` costs more than `other` on top.
    pub(crate) fn difference(&mut self, name: &'static str, one: &str, other: &str) {
        let row = |name: &str| self.rows.iter().find(|row| row.name == name);
        if let (Some(one), Some(other)) = (row(one), row(other)) {
            let nanoseconds = one.nanoseconds - other.nanoseconds;
            self.rows.insert(0, Row { name, nanoseconds });
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<48} {:>13} {:>7}", self.title, "ns", "ratio")?;
        let first = self.rows.first().map_or(1.0, |row| row.nanoseconds);
        for Row { name, nanoseconds } in &self.rows {
            let ratio = nanoseconds / first;
            writeln!(f, "  {name:<46} {nanoseconds:>13.1} {ratio:>7.2}")?;
        }
        Ok(())
    }
}
