use std::fmt;

use polyport_bootstrap::config::Secret;
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

/// The URLs of a broker's nodes: one, or a list. Debug shows none of them, since they may hold
/// passwords.
///
/// # Examples
/// ```
/// use polyport_amqp::{AmqpSettings, BrokerUrls};
///
/// let cluster = ["amqp://rabbit-1", "amqp://rabbit-2", "amqp://rabbit-3"];
/// let settings = AmqpSettings {
///     url: Some(cluster.into_iter().collect()),
///     ..AmqpSettings::default()
/// };
/// let one = AmqpSettings { url: Some(BrokerUrls::from("amqp://rabbit")), ..settings };
/// # drop(one);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrls(Vec<Secret<String>>);

impl BrokerUrls {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|url| url.expose().as_str())
    }
}

impl From<&str> for BrokerUrls {
    fn from(url: &str) -> Self {
        [url].into_iter().collect()
    }
}

impl From<String> for BrokerUrls {
    fn from(url: String) -> Self {
        [url].into_iter().collect()
    }
}

impl<T: Into<String>> FromIterator<T> for BrokerUrls {
    fn from_iter<I: IntoIterator<Item = T>>(urls: I) -> Self {
        Self(urls.into_iter().map(|url| Secret::new(url.into())).collect())
    }
}

/// A string, or a list of them; a secret as a whole.
impl<'de> Deserialize<'de> for BrokerUrls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let urls = Secret::<OneOrMany>::deserialize(deserializer)?;
        Ok(urls.expose().0.iter().map(String::as_str).collect())
    }
}

struct OneOrMany(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor)
    }
}

struct OneOrManyVisitor;

impl<'de> Visitor<'de> for OneOrManyVisitor {
    type Value = OneOrMany;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the URL of a broker, or a list of those of its nodes")
    }

    fn visit_str<E>(self, url: &str) -> Result<OneOrMany, E> {
        Ok(OneOrMany(vec![url.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
        let mut urls = Vec::new();
        while let Some(url) = list.next_element()? {
            urls.push(url);
        }
        Ok(OneOrMany(urls))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_url_and_a_list_are_read_and_a_number_is_not() {
        let read = |value| serde_json::from_value::<BrokerUrls>(value);
        assert_eq!(read(json!("amqp://a")).expect("one"), BrokerUrls::from("amqp://a"));
        let many = read(json!(["amqp://a", "amqp://b"])).expect("two");
        assert_eq!(many.iter().collect::<Vec<_>>(), ["amqp://a", "amqp://b"]);
        assert!(!format!("{many:?}").contains("amqp"));
        assert!(read(json!(5672)).is_err());
    }
}
