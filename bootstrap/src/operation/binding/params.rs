//! The parameters of a route's path.

use std::sync::Arc;

use smallvec::SmallVec;

use super::percent::{self, Space};
use crate::operation::Fault;

/// The names of a route's parameters, in the order of the path; shared by all calls of the route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamNames(Arc<[Box<str>]>);

impl<N: Into<Box<str>>> FromIterator<N> for ParamNames {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

/// The parameters of the path of one call, percent-decoded: `/rooms/{room}` gives `room`. None
/// cost nothing; others one allocation, whatever their number.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{ParamNames, PathParams};
///
/// let names: ParamNames = ["room", "id"].into_iter().collect();      // once, with the route
/// let params = PathParams::decode(&names, ["big%20lobby", "7"])?;     // for each call
/// assert_eq!(params.get("room"), Some("big lobby"));
/// # Ok::<(), polyport_bootstrap::Fault>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathParams {
    names: Option<ParamNames>,
    /// The values, one after the other.
    text: String,
    /// Where each value ends.
    ends: SmallVec<[usize; 4]>,
}

impl PathParams {
    /// Decodes the values, which stand in the order of `names`.
    ///
    /// # Errors
    /// Returns an [`InvalidArgument`](crate::FaultKind::InvalidArgument) fault (`INVALID_PATH`)
    /// where a value holds what is no escape or no UTF-8.
    pub fn decode<'v>(
        names: &ParamNames,
        encoded: impl IntoIterator<Item = &'v str>,
    ) -> Result<Self, Fault> {
        let mut params = Self { names: Some(names.clone()), ..Self::default() };
        for (value, name) in encoded.into_iter().zip(names.0.iter()) {
            let value = percent::decode(value.as_bytes(), Space::Escaped);
            params.push(&value.map_err(|_| malformed(name))?);
        }
        Ok(params)
    }

    /// These names and values.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn of(pairs: Vec<(String, String)>) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        let names = pairs.iter().map(|(name, _)| name.as_str()).collect();
        let mut params = Self { names: Some(names), ..Self::default() };
        pairs.iter().for_each(|(_, value)| params.push(value));
        params
    }

    fn push(&mut self, value: &str) {
        self.text.push_str(value);
        self.ends.push(self.text.len());
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = self.names.as_ref().map_or(&[][..], |names| &names.0);
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let values = begins.zip(&self.ends).map(|(begin, end)| &self.text[begin..*end]);
        names.iter().map(|name| &**name).zip(values)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// From names and decoded values; names are copied, which is for tests and rare routes.
impl<N: Into<Box<str>>, V: AsRef<str>> FromIterator<(N, V)> for PathParams {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut params = Self::default();
        let names = pairs.into_iter().map(|(name, value)| {
            params.push(value.as_ref());
            name.into()
        });
        let names: ParamNames = names.collect::<Vec<Box<str>>>().into_iter().collect();
        Self { names: Some(names), ..params }
    }
}

fn malformed(name: &str) -> Fault {
    Fault::invalid_argument(
        "INVALID_PATH",
        format!("the path's parameter {name} is not percent-encoded UTF-8"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_stand_beside_their_names() {
        let params = PathParams::from_iter([("room", "lobby"), ("empty", ""), ("id", "7")]);
        let pairs: Vec<_> = params.iter().collect();
        assert_eq!(pairs, [("room", "lobby"), ("empty", ""), ("id", "7")]);
        assert_eq!((params.get("id"), params.get("other")), (Some("7"), None));
        assert_eq!((params.len(), PathParams::default().is_empty()), (3, true));
    }

    #[test]
    fn a_value_that_is_no_text_is_a_fault_with_its_name() {
        let names = ParamNames::from_iter(["room"]);
        let fault = PathParams::decode(&names, ["%ff"]).expect_err("is no UTF-8");
        assert_eq!((fault.status(), fault.reason()), (400, "INVALID_PATH"));
        assert!(fault.message().contains("room"), "{fault}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_decoder_panic(values in prop::collection::vec(".*", 0..4)) {
            let names = ParamNames::from_iter(["a", "b", "c"]);
            let _ = PathParams::decode(&names, values.iter().map(String::as_str));
        }
    }
}
