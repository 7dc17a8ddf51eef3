//! What is to be reached, and whether it was.

use crate::{figures::Kind, rounds::Measured};

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
    /// So much.
    Figure(f64),
    /// So much more than the baseline.
    Above(f64),
}

impl Target {
    /// For a ratio to the baseline of what the row is about, in a row of calls.
    pub(crate) fn ratio(most: f64) -> Self {
        Self { kind: Kind::Cpu, most: Most::Ratio(most) }
    }

    /// What was to be reached and what was: `≤ 1.20: met (1.07)`.
    pub(crate) fn judge(self, measured: &Measured, variant: usize) -> Option<String> {
        let kind = self.kind;
        let (target, reached, is_met) = match self.most {
            Most::Ratio(most) => {
                let reached = measured.ratio(variant, kind)?.median;
                // As it is shown, to two digits.
                (format!("≤ {most:.2}"), format!("{reached:.2}"), reached < most + 0.005)
            }
            Most::Figure(most) => {
                let reached = measured.spread(variant, kind)?.median;
                (format!("≤ {}", kind.show(most)), kind.show(reached), reached <= most)
            }
            Most::Above(most) => {
                let reached = measured.above(variant, kind)?.median;
                (format!("≤ +{}", kind.show(most)), kind.show(reached), reached <= most)
            }
        };
        let what = match measured.kinds().first() == Some(&self.kind) {
            true => String::new(),
            false => format!("{} ", self.kind.title()),
        };
        let verdict = if is_met { "met" } else { "missed" };
        Some(format!("{what}{target}: {verdict} ({reached})"))
    }
}
