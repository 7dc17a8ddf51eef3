//! A table in Markdown, as docs/performance.md has it.

use crate::{
    figures::{Kind, Spread},
    rounds::Measured,
};

/// From which part of its core on the load may be what limits the calls a second.
const LIMIT: f64 = 0.95;

/// One row's; with those that were measured before it, against which it may be held.
pub(crate) fn table(measured: &Measured, before: &[Measured]) -> String {
    let kinds = measured.kinds();
    let Some((first, others)) = kinds.split_first() else { return String::new() };
    let titles: String = others.iter().map(|kind| format!(" {} |", kind.title())).collect();
    let mut lines = vec![
        format!("| {} | {} | ratio | target |{titles}", measured.row.title, first.title()),
        format!("|---|--:|---|---|{}", "--:|".repeat(others.len())),
    ];
    for (index, variant) in measured.variants() {
        let (figure, ratio) = (show(measured, index, *first), ratio(measured, index, *first));
        let targets: Vec<_> = verdicts(measured, index, before).collect();
        let others: String = others
            .iter()
            .map(|kind| {
                format!(" {}{} |", show(measured, index, *kind), beside(measured, index, *kind))
            })
            .collect();
        let targets = targets.join("; ");
        lines.push(format!("| {} | {figure} | {ratio} | {targets} |{others}", variant.name));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// What became of the targets of a server.
pub(super) fn verdicts(
    measured: &Measured,
    variant: usize,
    before: &[Measured],
) -> impl Iterator<Item = String> {
    let targets = &measured.row.variants[variant].targets;
    targets.iter().map(move |target| match target.judge(measured, variant, before) {
        Some(verdict) => verdict.to_string(),
        None => "not judged: another row is missing".to_owned(),
    })
}

fn show(measured: &Measured, variant: usize, kind: Kind) -> String {
    let Some(spread) = measured.spread(variant, kind) else { return String::new() };
    let load = measured.spread(variant, Kind::Load).map_or(0.0, |load| load.median);
    match kind == Kind::Rate && load > LIMIT {
        true => format!("≥ {}", kind.show(spread.median)),
        false => kind.show(spread.median),
    }
}

/// The ratio of a further figure, in short.
fn beside(measured: &Measured, variant: usize, kind: Kind) -> String {
    let ratio = measured.ratio(variant, kind).filter(|_| variant != 0 && kind != Kind::Load);
    ratio.map_or_else(String::new, |ratio| format!(" ({:.2})", ratio.median))
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
