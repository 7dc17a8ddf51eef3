//! Every fault of an input, and not only the first.
//!
//! A type is read again and again. Each reading ends at a part that refuses what it is shown; that
//! part is noted, and gets a placeholder in the next reading, so that the reading comes further.
//! When one succeeds, the rules of validation see a value in which everything that is right stands,
//! and what they say of placeholders is dropped. Only faulty calls pay for this, and no more than
//! the budget allows: what is very large tells its first faults.

mod access;
mod deserializer;
mod placeholder;
mod refusal;
mod shape;
mod state;

use garde::Validate;
use serde::{Deserializer, de::DeserializeOwned};

use self::{deserializer::Collect, refusal::Refusal, shape::Shape, state::State};
use super::{
    InputField,
    fault::{FieldFault, MOST_FAULTS},
};

/// What was learned of a faulty input.
pub(super) struct Collected<T> {
    /// Present where everything that is wrong could be replaced.
    value: Option<T>,
    faults: Vec<FieldFault>,
    state: State,
}

/// Reads `T` from what `source` gives until no part refuses it any more. One reading takes as long
/// as there are `bytes`.
pub(super) fn collect<'de, T, D>(source: impl Fn() -> D, bytes: usize) -> Collected<T>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let state = State::new(bytes);
    let value = loop {
        match T::deserialize(Collect::new(source(), &state)) {
            Ok(value) => break Some(value),
            Err(refusal) => {
                state.note(refusal);
                if !state.learn() {
                    break None;
                }
            }
        }
    };
    let value = value.filter(|_| !state.is_incomplete());
    let faults = state.take_faults();
    Collected { value, faults, state }
}

impl<T> Collected<T> {
    /// The faults of reading alone.
    pub(super) fn into_faults(self) -> Vec<FieldFault> {
        self.faults
    }
}

impl<T: Validate<Context = ()>> Collected<T> {
    /// The faults of reading, and then those of the rules.
    pub(super) fn validated(self, fields: &[InputField]) -> Vec<FieldFault> {
        let Self { value, mut faults, state } = self;
        let Some(Err(report)) = value.map(|value| value.validate()) else { return faults };
        let shape = state.shape();
        for (path, error) in report.iter() {
            if faults.len() > MOST_FAULTS {
                break;
            }
            let field = shape.client_path(path, fields);
            if !state.is_placeholder(&field) {
                faults.push(FieldFault::new(field, error.message()));
            }
        }
        faults
    }
}

/// The faults of a value that was not read by serde, by the names that Rust has for its fields.
pub(super) fn of_report(report: &garde::Report) -> Vec<FieldFault> {
    let fault = |(path, error): &(garde::Path, garde::Error)| {
        FieldFault::new(path.to_string(), error.message())
    };
    report.iter().take(MOST_FAULTS + 1).map(fault).collect()
}
