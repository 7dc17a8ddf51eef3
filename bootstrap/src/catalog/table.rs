//! The catalog as a table.

use super::CatalogOperation;

const HEAD: [&str; 6] = ["PROTOCOL", "ROUTE", "OPERATION", "MODULE", "GUARDS", "INPUT -> VALUE"];

/// One line for each route, in columns.
pub(super) fn table(operations: &[CatalogOperation]) -> String {
    let rows: Vec<_> = operations.iter().map(row).collect();
    let head = HEAD.map(str::to_owned);
    let widths: Vec<_> = (0..HEAD.len())
        .map(|column| {
            let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        })
        .collect();
    let mut table = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        table += line.trim_end();
        table.push('\n');
    }
    table
}

fn row(operation: &CatalogOperation) -> [String; 6] {
    let protocol = match operation.framework.as_str() {
        crate::DEFAULT_NAME => operation.protocol.to_owned(),
        name => format!("{} \"{name}\"", operation.protocol),
    };
    let guards: Vec<_> = operation.guards().collect();
    [
        protocol,
        operation.route.clone(),
        operation.name.clone(),
        operation.module.clone(),
        if guards.is_empty() { "-".to_owned() } else { guards.join(", ") },
        types(operation),
    ]
}

/// `GetUser -> User`, as far as it is known.
fn types(operation: &CatalogOperation) -> String {
    let title = |schema: Option<&schemars::Schema>| match schema {
        None => "?".to_owned(),
        Some(schema) => ["title", "type"]
            .into_iter()
            .find_map(|key| Some(schema.get(key)?.as_str()?.to_owned()))
            .unwrap_or_else(|| "any".to_owned()),
    };
    match (&operation.input, &operation.output) {
        (None, None) => "?".to_owned(),
        (input, output) => format!("{} -> {}", title(input.as_ref()), title(output.as_ref())),
    }
}
