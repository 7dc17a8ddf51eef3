//! All figures of all rounds.

use polyport::Result;
use serde_json::{Value, json};

use crate::rounds::Measured;

pub(super) fn write(measured: &[Measured]) -> Result<String> {
    let rows: Vec<_> = measured.iter().map(row).collect();
    Ok(serde_json::to_string_pretty(&json!({ "rows": rows }))?)
}

fn row(measured: &Measured) -> Value {
    let variants: Vec<_> = measured
        .variants()
        .map(|(index, variant)| {
            let figures = measured.kinds().into_iter().map(|kind| {
                json!({
                    "of": kind,
                    "figure": measured.spread(index, kind),
                    "ratio": measured.ratio(index, kind),
                })
            });
            let targets = variant.targets.iter().filter_map(|target| target.judge(measured, index));
            json!({
                "server": variant.server,
                "name": variant.name,
                "targets": targets.collect::<Vec<_>>(),
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
        "servers": variants,
    })
}
