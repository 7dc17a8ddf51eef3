//! A table in Markdown, as docs/performance.md has it.

use crate::{figures::Spread, rounds::Measured};

/// One row's.
pub(crate) fn table(measured: &Measured) -> String {
    let kinds = measured.kinds();
    let titles: Vec<_> = kinds.iter().map(|kind| kind.title()).collect();
    let Some((first, others)) = titles.split_first() else { return String::new() };
    let mut lines = vec![
        format!("| {} | {first} | ratio | target | {} |", measured.row.title, others.join(" | ")),
        format!("|---|--:|---|---|{}", "--:|".repeat(others.len())),
    ];
    for (index, variant) in measured.variants() {
        let shown: Vec<_> = kinds
            .iter()
            .map(|kind| {
                measured.spread(index, *kind).map_or_else(String::new, |s| kind.show(s.median))
            })
            .collect();
        let ratio = measured.ratio(index, kinds[0]);
        let (ratio, verdict) = match (index, ratio) {
            (0, _) | (_, None) => ("1.00".to_owned(), String::new()),
            (_, Some(ratio)) => (describe(ratio), judge(ratio, variant.target)),
        };
        let others = shown[1..].join(" | ");
        lines.push(format!("| {} | {} | {ratio} | {verdict} | {others} |", variant.name, shown[0]));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn describe(ratio: Spread) -> String {
    let Spread { median, low, high } = ratio;
    let range = format!("{median:.2} ({low:.2}–{high:.2})");
    match ratio.shows_no_difference() {
        true => format!("{range}: no difference shown"),
        false => range,
    }
}

fn judge(ratio: Spread, target: Option<f64>) -> String {
    // A target of two digits is met by what rounds to it.
    let is_met = |target: f64| ratio.median < target + 0.005;
    target.map_or_else(String::new, |target| {
        format!("≤ {target:.2}: {}", if is_met(target) { "met" } else { "missed" })
    })
}
