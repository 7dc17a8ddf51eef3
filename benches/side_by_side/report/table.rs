//! A table in Markdown, as docs/performance.md has it.

use crate::{
    figures::{Kind, Spread},
    rounds::Measured,
};

/// From which part of its core on the load may be what limits the calls a second.
const LIMIT: f64 = 0.95;

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
        let shown: Vec<_> = kinds.iter().map(|kind| show(measured, index, *kind)).collect();
        let (ratio, others) = (ratio(measured, index, kinds[0]), shown[1..].join(" | "));
        let targets = variant.targets.iter().filter_map(|target| target.judge(measured, index));
        let targets = targets.collect::<Vec<_>>().join("; ");
        lines.push(format!("| {} | {} | {ratio} | {targets} | {others} |", variant.name, shown[0]));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn show(measured: &Measured, variant: usize, kind: Kind) -> String {
    let Some(spread) = measured.spread(variant, kind) else { return String::new() };
    let load = measured.spread(variant, Kind::Load).map_or(0.0, |load| load.median);
    match kind == Kind::Rate && load > LIMIT {
        true => format!("≥ {}", kind.show(spread.median)),
        false => kind.show(spread.median),
    }
}

fn ratio(measured: &Measured, variant: usize, kind: Kind) -> String {
    let ratio = measured.ratio(variant, kind).filter(|_| variant != 0);
    let Some(ratio) = ratio else { return "1.00".to_owned() };
    let Spread { median, low, high } = ratio;
    let range = format!("{median:.2} ({low:.2}–{high:.2})");
    match ratio.shows_no_difference() {
        true => format!("{range}: no difference shown"),
        false => range,
    }
}
