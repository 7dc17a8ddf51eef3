//! The whole configuration as people and tools read it, with the source beside each value.

use std::{fmt, path::Path};

use serde_json::{Map, Value as Json};

use super::{Config, Provenance, layers::Layers, tree, write};
use crate::Result;

/// The merged configuration at one moment: every value, secrets masked, and where it comes from.
///
/// `Display` prints one line for each value, in the order of their keys, with its source as a
/// comment; where all values are scalars that is TOML.
///
/// # Examples
/// ```
/// use polyport_bootstrap::config::{ConfigBuilder, Environment};
///
/// let config = ConfigBuilder::new(Environment::unittest(), "no/such/folder")
///     .variables([("POLYPORT__HTTP__PORT", "8080"), ("POLYPORT__DB__PASSWORD", "hunter2")])
///     .build()?;
/// assert_eq!(
///     config.dump().to_string(),
///     "db.password = \"***\"  # environment variable POLYPORT__DB__PASSWORD\n\
///      http.port = 8080     # environment variable POLYPORT__HTTP__PORT\n",
/// );
/// # Ok::<(), polyport_bootstrap::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dump(Vec<Leaf>);

/// One value that is not a table, or a table without values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leaf {
    pub(super) path: Vec<String>,
    pub(super) provenance: Provenance,
    /// With secrets masked.
    pub(super) value: Json,
}

impl Config {
    /// Everything that is set, and where each value comes from.
    #[must_use]
    pub fn dump(&self) -> Dump {
        Dump(leaves(&self.layers(), &[]))
    }
}

impl Dump {
    /// The values, as a tree.
    #[must_use]
    pub fn values(&self) -> Json {
        self.tree(|leaf| leaf.value.clone())
    }

    /// The sources (`"config/config.default.toml:3"`), as a tree of the same shape as that of the
    /// values.
    #[must_use]
    pub fn sources(&self) -> Json {
        self.tree(|leaf| Json::from(leaf.provenance.winner().to_string()))
    }

    /// Writes `config.json` and `config.sources.json` into `folder`, which is created, for nobody
    /// but the process's own user. Whoever reads them meanwhile sees the old ones or the new ones,
    /// never a part.
    ///
    /// The two files are what Egg calls `application_config.json` and
    /// `application_config_meta.json`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        write::json(&folder.join("config.json"), &self.values())?;
        write::json(&folder.join("config.sources.json"), &self.sources())
    }

    fn tree(&self, of: impl Fn(&Leaf) -> Json) -> Json {
        let mut root = Map::new();
        for leaf in &self.0 {
            insert(&mut root, &leaf.path, of(leaf));
        }
        Json::Object(root)
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(|leaf| (leaf.to_string(), leaf)).collect();
        // One value that is very long does not push all comments out of sight.
        let fits = |line: &&(String, _)| line.0.chars().count() <= 60;
        let width = lines.iter().filter(fits).map(|(line, _)| line.chars().count()).max();
        let width = width.unwrap_or(0);
        for (line, leaf) in &lines {
            writeln!(f, "{line:width$}  # {}", leaf.provenance.winner())?;
        }
        Ok(())
    }
}

/// `http.port = 7001`
impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", written(&self.path), self.value)
    }
}

/// The values at `base` and below it.
pub(super) fn leaves(layers: &Layers, base: &[&str]) -> Vec<Leaf> {
    let mut found = Vec::new();
    let mut path: Vec<String> = base.iter().map(|&segment| segment.to_owned()).collect();
    collect(layers, &mut path, &mut found);
    found
}

fn collect(layers: &Layers, path: &mut Vec<String>, found: &mut Vec<Leaf>) {
    let Some(value) = layers.find(path) else { return };
    let keys = tree::keys(value);
    if !keys.is_empty() {
        for key in keys {
            path.push(key.clone());
            collect(layers, path, found);
            path.pop();
        }
    } else if let Some(provenance) = layers.explain(path) {
        let value = layers.masked(path);
        found.push(Leaf { path: path.clone(), provenance, value });
    }
}

fn insert(table: &mut Map<String, Json>, path: &[String], value: Json) {
    match path {
        [] => {}
        [last] => drop(table.insert(last.clone(), value)),
        [first, rest @ ..] => {
            let below = table.entry(first).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(below) = below {
                insert(below, rest, value);
            }
        }
    }
}

/// The key as TOML writes it: parts that are no bare keys stand in quotes.
fn written(path: &[String]) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let part = |segment: &String| match !segment.is_empty() && segment.bytes().all(bare) {
        true => segment.clone(),
        false => Json::from(segment.as_str()).to_string(),
    };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}
