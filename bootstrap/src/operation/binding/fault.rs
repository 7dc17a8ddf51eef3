//! The one shape of the faults of an input.

use serde_json::json;

use crate::operation::Fault;

/// What is wrong with one field. An empty path is the input as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldFault {
    pub(super) field: String,
    pub(super) message: String,
}

/// As many faults are told; whoever sends more learns of the rest next time.
pub(super) const MOST_FAULTS: usize = 64;
/// The longest path and the longest message, in bytes: both can quote what was sent.
const LONGEST: usize = 256;

impl FieldFault {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: shortened(field.into()), message: shortened(message.into()) }
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

/// The fault of an input with these faulty fields.
pub(super) fn invalid(mut faults: Vec<FieldFault>) -> Fault {
    let are_all = faults.len() <= MOST_FAULTS;
    faults.truncate(MOST_FAULTS);
    let mut lines: Vec<_> = faults.iter().map(line).collect();
    if !are_all {
        lines.push("and more".to_owned());
    }
    let details =
        faults.iter().map(|fault| json!({ "field": fault.field, "message": fault.message }));
    Fault::invalid_argument("INVALID_INPUT", lines.join("; ")).with_details(details.collect())
}

fn line(fault: &FieldFault) -> String {
    match &*fault.field {
        "" => fault.message.clone(),
        field => format!("{field}: {}", fault.message),
    }
}

/// The fault of an input that is wrong as a whole.
pub(super) fn whole(message: impl Into<String>) -> Fault {
    invalid(vec![FieldFault::new("", message)])
}
