//! What the configuration says of one middleware: `middleware.<name>`, where it stands and its own
//! options.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use garde::{Path, Report, Validate};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor},
    forward_to_deserialize_any,
};

use super::patterns::{Pattern, Patterns};
use crate::{
    Result,
    config::{Config, Declared, Effect, SettingsSection},
    operation::Exposure,
};

/// What the options of a middleware have to be: `Default`, `Deserialize` with `#[serde(default)]`,
/// and garde's `Validate`. Their names must not be `enable`, `match` or `ignore`, which every
/// middleware has.
pub trait MiddlewareOptions:
    DeserializeOwned + Default + Validate<Context = ()> + Send + Sync + 'static
{
}

impl<O> MiddlewareOptions for O where
    O: DeserializeOwned + Default + Validate<Context = ()> + Send + Sync + 'static
{
}

/// The options of a middleware that has none.
#[derive(Debug, Clone, Copy, Default, Deserialize, Validate)]
#[serde(default)]
pub(super) struct NoOptions {}

/// The section `middleware.<name>`.
#[derive(Debug, Default)]
pub(super) struct Configured<O> {
    pub(super) selection: Selection,
    pub(super) options: O,
}

/// Where a middleware stands, as the configuration says.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    enable: Option<bool>,
    matches: Option<Patterns>,
    ignores: Option<Patterns>,
}

impl<O: MiddlewareOptions> Configured<O> {
    /// Makes the section this middleware's own.
    fn declare(config: &Config, name: &str) -> Result<Declared<Self>> {
        config.declare(format!("middleware {name}"), &key(name), Effect::Restart)
    }

    fn read(config: &Config, name: &str) -> Result<Arc<Self>> {
        Ok(Self::declare(config, name)?.settings()?.get())
    }

    /// The options alone, as a value of one's own.
    pub(super) fn options(config: &Config, name: &str) -> Result<O> {
        config.peek_or_default::<Self>(&key(name)).map(|configured| configured.options)
    }
}

fn key(name: &str) -> String {
    format!("middleware.{name}")
}

impl<O: MiddlewareOptions> SettingsSection for Configured<O> {
    const KEY: &'static str = "middleware";
    const RENAMED: &'static [(&'static str, &'static str)] = &[];
}

impl<O: Validate<Context = ()>> Validate for Configured<O> {
    type Context = ();

    fn validate_into(&self, context: &(), parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        self.options.validate_into(context, parent, report);
        self.selection.report(parent, report);
    }
}

impl Selection {
    fn report(&self, parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        for (key, patterns) in [("match", &self.matches), ("ignore", &self.ignores)] {
            let Some(patterns) = patterns else { continue };
            for (position, fault) in patterns.compile().err().into_iter().flatten() {
                report.append(parent().join(key).join(position), garde::Error::new(fault));
            }
        }
        let Some(matches) = &self.matches else { return };
        if matches.0.is_empty() {
            let fault = "an empty list matches nothing: set enable = false, or leave it out";
            report.append(parent().join("match"), garde::Error::new(fault));
        }
        let ignored = self.ignores.iter().flat_map(|patterns| &patterns.0);
        for both in ignored.filter(|pattern| matches.0.contains(pattern)) {
            let fault = format!("{both:?} is ignored too: take it out of one of the two");
            report.append(parent().join("match"), garde::Error::new(fault));
        }
    }

    fn rule(&self, is_on_by_default: bool) -> Rule {
        let compiled = |patterns: &Option<Patterns>| {
            patterns.as_ref().map(|patterns| patterns.compile().unwrap_or_default())
        };
        Rule {
            is_asked_for: self.enable == Some(true),
            is_on: self.enable.unwrap_or(is_on_by_default),
            matches: compiled(&self.matches),
            ignores: compiled(&self.ignores).unwrap_or_default(),
            stands: None,
        }
    }
}

/// Where a middleware stands, ready to be asked.
pub(crate) struct Rule {
    /// Whether the configuration itself switches it on.
    is_asked_for: bool,
    is_on: bool,
    matches: Option<Vec<Pattern>>,
    ignores: Vec<Pattern>,
    /// What the middleware itself says.
    stands: Option<Stands>,
}

type Stands = Box<dyn Fn(&Exposure) -> bool + Send + Sync>;

impl Rule {
    /// Whether the middleware stands around this operation.
    pub(super) fn admits(&self, exposure: &Exposure) -> bool {
        let covers = |patterns: &[Pattern]| patterns.iter().any(|one| one.covers(exposure));
        self.is_on
            && self.matches.as_deref().is_none_or(covers)
            && !covers(&self.ignores)
            && self.stands.as_ref().is_none_or(|stands| stands(exposure))
    }

    pub(super) fn is_asked_for(&self) -> bool {
        self.is_asked_for
    }

    /// The patterns of `match` that cover none of these.
    pub(super) fn idle_patterns<'r>(
        &'r self,
        operations: &'r [Exposure],
    ) -> impl Iterator<Item = &'r str> {
        let idle = |pattern: &&Pattern| !operations.iter().any(|one| pattern.covers(one));
        self.matches.iter().flatten().filter(idle).map(Pattern::text)
    }
}

/// A stage of which the configuration has something to say.
pub(crate) trait Table: Send + Sync {
    /// Says whose the table is, so that it is checked with the whole configuration.
    fn declare(&self, config: &Config, name: &str) -> Result<()>;

    /// Reads what it says.
    fn configure(&self, config: &Config, name: &str) -> Result<Rule>;

    /// Whether it stands where nothing is said.
    fn is_on_by_default(&self) -> bool;
}

/// The table of a middleware whose options are an `O`.
pub(super) struct OptionsOf<O> {
    is_on: bool,
    /// Whether a middleware of these options stands around an operation.
    stands: Option<StandsWith<O>>,
    of: PhantomData<fn() -> O>,
}

type StandsWith<O> = Arc<dyn Fn(&O, &Exposure) -> bool + Send + Sync>;

impl<O> OptionsOf<O> {
    /// Of one that stands unless the configuration says otherwise.
    pub(super) fn on() -> Self {
        Self { is_on: true, stands: None, of: PhantomData }
    }

    /// Of one that stands where its own options say so.
    pub(super) fn standing(
        is_on: bool,
        stands: impl Fn(&O, &Exposure) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { is_on, stands: Some(Arc::new(stands)), of: PhantomData }
    }
}

impl<O: MiddlewareOptions> Table for OptionsOf<O> {
    fn declare(&self, config: &Config, name: &str) -> Result<()> {
        Configured::<O>::declare(config, name).map(drop)
    }

    fn configure(&self, config: &Config, name: &str) -> Result<Rule> {
        let configured = Configured::<O>::read(config, name)?;
        let mut rule = configured.selection.rule(self.is_on);
        if let Some(stands) = self.stands.clone() {
            rule.stands = Some(Box::new(move |exposure| stands(&configured.options, exposure)));
        }
        Ok(rule)
    }

    fn is_on_by_default(&self) -> bool {
        self.is_on
    }
}

const ENABLE: &str = "enable";
const MATCH: &str = "match";
const IGNORE: &str = "ignore";

type Fields = &'static [&'static str];

/// The fields of an options type and those that every middleware has; one list for each type.
fn with_own(fields: Fields) -> Fields {
    static KNOWN: LazyLock<Mutex<BTreeMap<Fields, Fields>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let join = || Vec::leak([&[ENABLE, MATCH, IGNORE], fields].concat());
    known.entry(fields).or_insert_with(|| join())
}

impl<'de, O: MiddlewareOptions> Deserialize<'de> for Configured<O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut selection = Selection::default();
        let options = O::deserialize(Apart { inner: deserializer, selection: &mut selection })?;
        Ok(Self { selection, options })
    }
}

/// Takes what every middleware has out of a table, and leaves the rest to the options.
struct Apart<'s, T> {
    inner: T,
    selection: &'s mut Selection,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Apart<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> std::result::Result<V::Value, D::Error> {
        self.inner.deserialize_map(Apart { inner: visitor, selection: self.selection })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: Fields,
        visitor: V,
    ) -> std::result::Result<V::Value, D::Error> {
        let visitor = Apart { inner: visitor, selection: self.selection };
        self.inner.deserialize_struct(name, with_own(fields), visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Apart<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<V::Value, A::Error> {
        self.inner.visit_map(Apart { inner: map, selection: self.selection })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Apart<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> std::result::Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.inner.next_key::<String>()? {
            match key.as_str() {
                ENABLE => self.selection.enable = self.inner.next_value()?,
                MATCH => self.selection.matches = self.inner.next_value()?,
                IGNORE => self.selection.ignores = self.inner.next_value()?,
                _ => return seed.deserialize(key.into_deserializer()).map(Some),
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> std::result::Result<S::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
}
