//! The servers of a row, in turns.

use std::{
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    time::{Duration, Instant},
};

use polyport::{Error, Result};

use crate::{
    figures::{Figures, Kind, Spread},
    options::Options,
    rows::{Row, Variant},
};

/// A row with its figures.
pub(crate) struct Measured {
    pub(crate) row: Row,
    /// How long that took.
    pub(crate) took: Duration,
    /// Of each variant, one for each round.
    pub(crate) figures: Vec<Vec<Figures>>,
}

/// How long all that takes, about: `13 rows, 7 rounds: about 12 min`.
pub(crate) fn forecast(rows: &[Row], options: &Options) -> String {
    let round: Duration =
        rows.iter().map(|row| row.work.forecast(row, options) * row.variants.len() as u32).sum();
    let (rounds, seconds) = (options.rounds, round.as_secs() * options.rounds as u64);
    format!("{} rows, {rounds} rounds: about {} min", rows.len(), seconds.div_ceil(60))
}

/// Measures all variants of a row, in each round in another order.
pub(crate) fn measure(row: Row, options: &Options) -> Result<Measured> {
    let begun = Instant::now();
    let mut figures = vec![Vec::new(); row.variants.len()];
    for round in 1..=options.rounds {
        for index in shuffled(row.variants.len()) {
            let server = row.variants[index].server;
            let progress = format!("{} {round}/{} {server}", row.name, options.rounds);
            write!(io::stderr(), "\r\x1b[K{progress}")?;
            let measured = row.work.measure(&row, server, options);
            figures[index].push(
                measured
                    .map_err(|error| Error::other(format!("{}: {server}: {error}", row.name)))?,
            );
        }
    }
    write!(io::stderr(), "\r\x1b[K")?;
    Ok(Measured { row, took: begun.elapsed(), figures })
}

/// The numbers below `count`, in any order.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..count).collect();
    // Each of these has keys of its own.
    order.sort_by_cached_key(|_| RandomState::new().hash_one(()));
    order
}

impl Measured {
    /// Each variant with its number.
    pub(crate) fn variants(&self) -> impl Iterator<Item = (usize, &Variant)> {
        self.row.variants.iter().enumerate()
    }

    /// What was measured, the first of it first.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let first = self.figures.first().and_then(|rounds| rounds.first());
        first.into_iter().flatten().map(|(kind, _)| *kind).collect()
    }

    /// The figures of a variant over all rounds.
    pub(crate) fn spread(&self, variant: usize, kind: Kind) -> Option<Spread> {
        Spread::of(self.values(variant, kind))
    }

    /// Those of a variant by those of the baseline, round by round.
    pub(crate) fn ratio(&self, variant: usize, kind: Kind) -> Option<Spread> {
        let pairs = self.values(variant, kind).zip(self.values(0, kind));
        Spread::of(pairs.map(|(value, baseline)| value / baseline))
    }

    /// By how much those of a variant are above those of the baseline, round by round.
    pub(crate) fn above(&self, variant: usize, kind: Kind) -> Option<Spread> {
        let pairs = self.values(variant, kind).zip(self.values(0, kind));
        Spread::of(pairs.map(|(value, baseline)| value - baseline))
    }

    fn values(&self, variant: usize, kind: Kind) -> impl Iterator<Item = f64> + '_ {
        let of_kind = move |figures: &Figures| {
            figures.iter().find(|(is, _)| *is == kind).map(|(_, value)| *value)
        };
        self.figures[variant].iter().filter_map(of_kind)
    }
}
