//! All tables, as the section Figures of docs/performance.md has them.

use super::table::table;
use crate::{machine::Machine, rounds::Measured};

pub(super) fn write(measured: &[Measured], machine: &Machine, left_out: &[&str]) -> String {
    let mut page = format!("{machine}\n\n");
    for what in left_out {
        page.push_str(&format!("Left out: {what}.\n\n"));
    }
    page.push_str(&summary(measured));
    for (index, row) in measured.iter().enumerate() {
        page.push('\n');
        page.push_str(&table(row, &measured[..index]));
    }
    page
}

/// How many targets were met, and which were not.
fn summary(measured: &[Measured]) -> String {
    let (mut all, mut missed) = (0, Vec::new());
    for (row, index, target) in targets(measured) {
        let (measured, before) = (&measured[row], &measured[..row]);
        let Some(verdict) = target.judge(measured, index, before) else { continue };
        all += 1;
        if !verdict.is_met {
            let server = measured.row.variants[index].name;
            missed.push(format!("- {}, {server}: {verdict}\n", measured.row.title));
        }
    }
    let met = all - missed.len();
    match missed.is_empty() {
        true => format!("{met} of {all} targets met.\n"),
        false => format!("{met} of {all} targets met. Missed:\n\n{}", missed.concat()),
    }
}

/// Every target, with the number of its row and of its server.
fn targets(
    measured: &[Measured],
) -> impl Iterator<Item = (usize, usize, crate::targets::Target)> + '_ {
    measured.iter().enumerate().flat_map(|(row, measured)| {
        measured.variants().flat_map(move |(index, variant)| {
            variant.targets.iter().map(move |target| (row, index, *target))
        })
    })
}
