//! What is to be reached, and whether it was.

use std::fmt;

use crate::{
    figures::{Kind, Spread},
    rounds::Measured,
};

/// What a server's figure may be at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) most: Most,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Most {
    /// So much, with the baseline as 1.
    Ratio(f64),
    /// What the ratio is in that row, which is measured before: no more than the highest of it.
    RatioIn(&'static str),
    /// So much.
    Figure(f64),
    /// So much more than the baseline.
    Above(f64),
}

/// Whether a target was met.
#[derive(Debug)]
pub(crate) struct Verdict {
    target: String,
    reached: String,
    pub(crate) is_met: bool,
}

/// `≤ 1.20: met (1.07)`
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = if self.is_met { "met" } else { "missed" };
        write!(f, "{}: {met} ({})", self.target, self.reached)
    }
}

impl Target {
    /// For a ratio to the baseline of what the row is about, in a row of calls.
    pub(crate) fn ratio(most: f64) -> Self {
        Self { kind: Kind::Cpu, most: Most::Ratio(most) }
    }

    /// What was to be reached and what was; none where there are no figures, or not those of the row
    /// that this one is held against.
    pub(crate) fn judge(
        self,
        measured: &Measured,
        variant: usize,
        before: &[Measured],
    ) -> Option<Verdict> {
        let kind = self.kind;
        let reached = |spread: Option<Spread>| spread.map(|spread| spread.median);
        let ratio = reached(measured.ratio(variant, kind));
        let (target, reached, is_met) = match self.most {
            Most::Ratio(most) => (format!("≤ {most:.2}"), two(ratio?), within(ratio?, most)),
            Most::RatioIn(row) => {
                let Spread { low, high, .. } = there(row, measured, variant, kind, before)?;
                let target = format!("no more than {low:.2}–{high:.2} in {row}");
                (target, two(ratio?), within(ratio?, high))
            }
            Most::Figure(most) => {
                let reached = reached(measured.spread(variant, kind))?;
                (format!("≤ {}", kind.show(most)), kind.show(reached), reached <= most)
            }
            Most::Above(most) => {
                let reached = reached(measured.above(variant, kind))?;
                (format!("≤ +{}", kind.show(most)), kind.show(reached), reached <= most)
            }
        };
        let target = match measured.kinds().first() == Some(&kind) {
            true => target,
            false => format!("{} {target}", kind.title()),
        };
        Some(Verdict { target, reached, is_met })
    }
}

fn two(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// As it is shown, to two digits.
fn within(ratio: f64, most: f64) -> bool {
    ratio < most + 0.005
}

/// The ratio of the same server in another row.
fn there(
    row: &str,
    measured: &Measured,
    variant: usize,
    kind: Kind,
    before: &[Measured],
) -> Option<Spread> {
    let other = before.iter().find(|measured| measured.row.name == row)?;
    let server = measured.row.variants.get(variant)?.server;
    let (index, _) = other.variants().find(|(_, variant)| variant.server == server)?;
    other.ratio(index, kind)
}
