//! All figures of all rounds.

use polyport::Result;
use serde_json::{Value, json};

use super::table::verdicts;
use crate::{machine::Machine, rounds::Measured};

pub(super) fn write(measured: &[Measured], machine: &Machine, left_out: &[&str]) -> Result<String> {
    let rows = measured.iter().enumerate().map(|(index, row)| of(row, &measured[..index]));
    let all = json!({
        "machine": machine.to_string(),
        "left_out": left_out,
        "rows": rows.collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&all)?)
}

fn of(measured: &Measured, before: &[Measured]) -> Value {
    let variants: Vec<_> = measured
        .variants()
        .map(|(index, variant)| {
            let figures = measured.kinds().into_iter().map(|kind| {
                let ratio = measured.ratio(index, kind);
                json!({
                    "of": kind,
                    "figure": measured.spread(index, kind),
                    "ratio": ratio,
                    "no_difference_shown": ratio.is_some_and(|ratio| ratio.shows_no_difference()),
                })
            });
            json!({
                "server": variant.server,
                "name": variant.name,
                "targets": verdicts(measured, index, before).collect::<Vec<_>>(),
                "figures": figures.collect::<Vec<_>>(),
                "rounds": measured.figures[index],
            })
        })
        .collect();
    let row = &measured.row;
    json!({
        "row": row.name,
        "title": row.title,
        "cores": row.cores,
        "connections": row.connections,
        "seconds": measured.took.as_secs_f64(),
        "servers": variants,
    })
}
