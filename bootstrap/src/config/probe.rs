//! What a type looks like, found out by reading it from nothing: the keys of its structs, and
//! where it has secrets, also those that no configuration sets.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess,
        SeqAccess, VariantAccess, Visitor,
    },
};

use super::{key::Key, refusal::Refusal, secret, secrets::Pattern};

/// The names that a struct has for its keys.
pub(super) type Fields = &'static [&'static str];

/// What is known of a type; the patterns begin where its section does.
#[derive(Default)]
pub(super) struct Shape {
    pub(super) secrets: BTreeSet<Pattern>,
    /// The keys of every struct.
    pub(super) fields: BTreeMap<Pattern, Fields>,
}

/// How deep a type is looked into: one that holds itself has no end.
const DEEPEST: usize = 8;
/// How often a type is read before the search ends: each reading sees one variant of each enum,
/// and ends where a part refuses what it is shown.
const MOST_READINGS: usize = 1000;
/// How many parts all readings together may look at: a type that holds itself twice grows with
/// each level.
const MOST_PARTS: usize = 20_000;

/// The shape of `T`, as far as it can be read from values such as `0` and `""`; a part that
/// refuses those is passed over.
pub(super) fn shape_of<T: DeserializeOwned>() -> Shape {
    let probe = Probe::default();
    for _ in 0..MOST_READINGS {
        let refused = match T::deserialize(At(&probe)) {
            _ if probe.is_at_its_end() => break,
            Ok(_) if !probe.has_more_to_show(&[]) => break,
            Ok(_) => continue,
            Err(_) => probe.refused.take(),
        };
        match refused {
            // What cannot do without a part is passed over as a whole.
            Some(mut pattern) => {
                let mut passed_over = probe.passed_over.borrow_mut();
                while !pattern.is_empty() && !passed_over.insert(pattern.clone()) {
                    pattern.pop();
                }
                if pattern.is_empty() {
                    break;
                }
            }
            None => break,
        }
    }
    probe.shape.into_inner()
}

#[derive(Default)]
struct Probe {
    here: RefCell<Pattern>,
    shape: RefCell<Shape>,
    passed_over: RefCell<BTreeSet<Pattern>>,
    /// The variants that each enum has yet to show.
    variants: RefCell<BTreeMap<Pattern, Fields>>,
    parts: Cell<usize>,
    /// The innermost part that refused what it was shown.
    refused: RefCell<Option<Pattern>>,
}

impl Probe {
    fn within<T>(
        &self,
        key: Option<&str>,
        look: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.parts.set(self.parts.get() + 1);
        self.here.borrow_mut().push(key.map(str::to_owned));
        let answer = match self.is_at_its_end() {
            true => Err(Refusal::custom("the search is over")),
            false => look(),
        };
        let here = self.here.borrow().clone();
        if answer.is_err() {
            self.refused.borrow_mut().get_or_insert(here);
        }
        self.here.borrow_mut().pop();
        answer
    }

    fn passes_over(&self, key: Option<&str>) -> bool {
        let mut pattern = self.here.borrow().clone();
        pattern.push(key.map(str::to_owned));
        self.passed_over.borrow().contains(&pattern)
    }

    /// The variant that is seen now of the enum that is looked at: each once, and then those again
    /// below which others have something left to show.
    fn variant(&self, variants: Fields) -> Option<&'static str> {
        let here = self.here.borrow().clone();
        let left = *self.variants.borrow_mut().entry(here.clone()).or_insert(variants);
        if let [now, later @ ..] = left {
            self.variants.borrow_mut().insert(here, later);
            return Some(now);
        }
        let leads_on = |name: &&&str| {
            let below: Pattern = here.iter().cloned().chain([Some((**name).to_owned())]).collect();
            self.has_more_to_show(&below)
        };
        let any = || variants.iter().find(|name| !self.passes_over(Some(name)));
        variants.iter().find(leads_on).or_else(any).copied()
    }

    /// Whether an enum at or below this place has yet to show a variant, and can be reached.
    fn has_more_to_show(&self, below: &[Option<String>]) -> bool {
        let (variants, passed_over) = (self.variants.borrow(), self.passed_over.borrow());
        let is_in_reach = |at: &Pattern| !passed_over.iter().any(|out| at.starts_with(out));
        let mut unfinished = variants.iter().filter(|(_, left)| !left.is_empty());
        unfinished.any(|(at, _)| at.starts_with(below) && is_in_reach(at))
    }

    fn is_at_its_end(&self) -> bool {
        self.parts.get() > MOST_PARTS
    }

    fn is_deep(&self) -> bool {
        self.here.borrow().len() >= DEEPEST
    }
}

#[derive(Clone, Copy)]
struct At<'p>(&'p Probe);

macro_rules! shows {
    ($($method:ident => $visit:ident($value:expr);)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
                visitor.$visit($value)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for At<'_> {
    type Error = Refusal;

    shows! {
        deserialize_bool => visit_bool(false);
        deserialize_i8 => visit_i8(0);
        deserialize_i16 => visit_i16(0);
        deserialize_i32 => visit_i32(0);
        deserialize_i64 => visit_i64(0);
        deserialize_i128 => visit_i128(0);
        deserialize_u8 => visit_u8(0);
        deserialize_u16 => visit_u16(0);
        deserialize_u32 => visit_u32(0);
        deserialize_u64 => visit_u64(0);
        deserialize_u128 => visit_u128(0);
        deserialize_f32 => visit_f32(0.0);
        deserialize_f64 => visit_f64(0.0);
        deserialize_char => visit_char('a');
        deserialize_str => visit_str("");
        deserialize_string => visit_str("");
        deserialize_bytes => visit_bytes(&[]);
        deserialize_byte_buf => visit_bytes(&[]);
        deserialize_identifier => visit_str("");
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.0.is_deep() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if name == secret::NAME {
            let here = self.0.here.borrow().clone();
            self.0.shape.borrow_mut().secrets.insert(here);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_seq(Several { probe: self.0, left: usize::from(!self.0.is_deep()) })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_seq(Several { probe: self.0, left: length })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let keys: &[&str] = if self.0.is_deep() { &[] } else { &["0"] };
        visitor.visit_map(Keys { probe: self.0, fixed: false, keys: keys.iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: Fields,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let here = self.0.here.borrow().clone();
        self.0.shape.borrow_mut().fields.insert(here, fields);
        visitor.visit_map(Keys { probe: self.0, fixed: true, keys: fields.iter(), value: None })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let variant = self.0.variant(variants).filter(|_| !self.0.is_deep());
        match variant {
            Some(name) => visitor.visit_enum(Shown { probe: self.0, name }),
            None => Err(Refusal::custom("no variant that ends")),
        }
    }
}

/// So many elements of an array.
struct Several<'p> {
    probe: &'p Probe,
    left: usize,
}

impl<'de> SeqAccess<'de> for Several<'_> {
    type Error = Refusal;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refusal> {
        if self.left == 0 || self.probe.passes_over(None) {
            return Ok(None);
        }
        self.left -= 1;
        self.probe.within(None, || seed.deserialize(At(self.probe))).map(Some)
    }
}

/// The keys of a struct, or a key of a map.
struct Keys<'p, 'k> {
    probe: &'p Probe,
    fixed: bool,
    keys: std::slice::Iter<'k, &'k str>,
    value: Option<&'k str>,
}

impl Keys<'_, '_> {
    fn segment<'k>(&self, key: &'k str) -> Option<&'k str> {
        self.fixed.then_some(key)
    }
}

impl<'de> MapAccess<'de> for Keys<'_, '_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        let (probe, fixed) = (self.probe, self.fixed);
        let next = self.keys.find(|key| !probe.passes_over(fixed.then_some(**key)));
        let Some(key) = next else { return Ok(None) };
        self.value = Some(key);
        probe.within(self.segment(key), || seed.deserialize(Key(key))).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refusal> {
        let key = self.value.take().unwrap_or_default();
        self.probe.within(self.segment(key), || seed.deserialize(At(self.probe)))
    }
}

/// One variant of an enum.
struct Shown<'p> {
    probe: &'p Probe,
    name: &'static str,
}

impl<'de> EnumAccess<'de> for Shown<'_> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refusal> {
        Ok((seed.deserialize(self.name.into_deserializer())?, self))
    }
}

impl<'de> VariantAccess<'de> for Shown<'_> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refusal> {
        self.probe.within(Some(self.name), || seed.deserialize(At(self.probe)))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.probe.within(Some(self.name), || At(self.probe).deserialize_tuple(length, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: Fields,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let Self { probe, name } = self;
        probe.within(Some(name), || At(probe).deserialize_struct("", fields, visitor))
    }
}
