//! The arguments of a declaration.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use lapin::types::FieldTable;
use serde_json::Value;

use crate::headers;

/// The arguments of an exchange, a queue or a binding; remembers which of them were set to two
/// different values, so that it can be told with all other faults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    values: BTreeMap<String, Value>,
    contradictions: BTreeSet<String>,
}

impl Arguments {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        if let Some(known) = self.values.get(&name).filter(|known| **known != value) {
            self.contradictions.insert(format!("{name}={known} and {name}={value}"));
        }
        self.values.insert(name, value);
    }

    /// As AMQP counts time: in milliseconds.
    pub(crate) fn set_time(&mut self, name: &str, time: Duration) {
        self.set(name, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some(&Value::Bool(true))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.values.iter()
    }

    /// What was set to two different values, each as `name=one and name=other`.
    pub(crate) fn contradictions(&self) -> impl Iterator<Item = &str> {
        self.contradictions.iter().map(String::as_str)
    }

    /// Takes over `others`, as if each was set here.
    pub(crate) fn set_all(&mut self, others: &BTreeMap<String, Value>) {
        for (name, value) in others {
            self.set(name, value.clone());
        }
    }

    /// As AMQP carries them.
    pub(crate) fn table(&self) -> FieldTable {
        headers::table(&self.values)
    }

    pub(crate) const fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Arguments {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(arguments: I) -> Self {
        let mut all = Self::default();
        for (name, value) in arguments {
            all.set(name, value);
        }
        all
    }
}

/// `, x-max-length=5`, as declarations are told in reports.
impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.iter().try_for_each(|(name, value)| write!(f, ", {name}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_twice_is_no_contradiction_and_another_one_is() {
        let mut arguments = Arguments::default();
        arguments.set("x-max-length", 5);
        arguments.set("x-max-length", 5);
        assert_eq!(arguments.contradictions().count(), 0);
        arguments.set("x-max-length", 6);
        let told: Vec<_> = arguments.contradictions().collect();
        assert_eq!(told, ["x-max-length=5 and x-max-length=6"]);
    }

    #[test]
    fn time_is_in_milliseconds() {
        let mut arguments = Arguments::default();
        arguments.set_time("x-expires", Duration::from_secs(2));
        assert_eq!(arguments.get("x-expires"), Some(&Value::from(2000)));
    }
}
