//! Where one value comes from, in words.

use std::fmt;

use serde::de::IgnoredAny;

use super::{
    Config, Origin,
    dump::{self, Leaf},
    sections::Owned,
    tree,
};
use crate::Result;

/// Where the value at a key comes from; for a table, where each value below it does. `Display`
/// prints it for people.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Explanation {
    Set(Vec<Leaf>),
    /// Nothing is set there; the type of the section fills it in.
    Default {
        key: String,
        section: String,
        of: &'static str,
    },
}

impl Config {
    /// The explanation of what stands at `key`.
    ///
    /// # Errors
    /// Nothing is set there, and no section has such a key: the error names the nearest one, and
    /// how to set it.
    pub(crate) fn explanation(&self, key: &str) -> Result<Explanation> {
        let leaves = dump::leaves(&self.layers(), &tree::segments(key));
        if !leaves.is_empty() || key.is_empty() {
            return Ok(Explanation::Set(leaves));
        }
        let owned = self.owned();
        match owned.iter().find(|section| section.fills_in(&tree::segments(key))) {
            Some(section) => Ok(Explanation::Default {
                key: key.to_owned(),
                section: section.key.clone(),
                of: section.type_name,
            }),
            None => self.peek::<IgnoredAny>(key).map(|_| Explanation::Set(leaves)),
        }
    }
}

impl Owned {
    /// Whether the section's type knows the key at `path`, so that its default holds where nothing
    /// is set.
    fn fills_in(&self, path: &[&str]) -> bool {
        let is_within = self.path.iter().zip(path).all(|(own, asked)| own == asked);
        if !is_within || path.len() < self.path.len() {
            return false;
        }
        match path[self.path.len()..].split_last() {
            None => true,
            Some((last, parents)) => self.shape.fields.iter().any(|(pattern, fields)| {
                let part = |(pattern, asked): (&Option<String>, &&str)| {
                    pattern.as_ref().is_none_or(|pattern| pattern == asked)
                };
                let leads = pattern.len() == parents.len() && pattern.iter().zip(parents).all(part);
                leads && fields.contains(last)
            }),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(leaves) => leaves.iter().try_for_each(|leaf| explain(f, leaf)),
            Self::Default { key, section, of } => {
                writeln!(f, "{key} is not set\n  the default of section {section} holds ({of})")
            }
        }
    }
}

fn explain(f: &mut fmt::Formatter<'_>, leaf: &Leaf) -> fmt::Result {
    writeln!(f, "{leaf}")?;
    let winner = leaf.provenance.winner();
    writeln!(f, "  from {}", place(winner))?;
    let made_of = leaf.provenance.made_of();
    if !made_of.is_empty() {
        writeln!(f, "  written as {}", winner.value())?;
    }
    made_of.iter().try_for_each(|part| writeln!(f, "  made of {part}"))?;
    let mut losers = leaf.provenance.losers().iter();
    losers.try_for_each(|loser| writeln!(f, "  not {} from {}", loser.value(), place(loser)))
}

/// `config/config.default.toml:3 (default file)`
fn place(origin: &Origin) -> String {
    format!("{origin} ({})", origin.layer())
}
