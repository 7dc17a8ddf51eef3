//! Where a value comes from.

use std::fmt;

use serde_json::Value as Json;

use super::Layer;

/// Where a value comes from: the place that won, and those that lost.
///
/// # Examples
/// ```
/// use polyport_bootstrap::config::{ConfigBuilder, Environment, Layer};
///
/// let config = ConfigBuilder::new(Environment::unittest(), "no/such/folder")
///     .framework_defaults("http", serde_json::json!({ "http": { "port": 7001 } }))
///     .variables([("POLYPORT__HTTP__PORT", "8080")])
///     .build()?;
/// let provenance = config.explain("http.port").expect("it is set");
/// assert_eq!(provenance.winner().layer(), Layer::Variable);
/// assert_eq!(provenance.winner().source(), "environment variable POLYPORT__HTTP__PORT");
/// assert_eq!(provenance.losers()[0].value(), 7001);
/// # Ok::<(), polyport_bootstrap::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    key: String,
    winner: Origin,
    losers: Vec<Origin>,
    made_of: Vec<String>,
}

impl Provenance {
    pub(super) fn new(
        key: String,
        winner: Origin,
        losers: Vec<Origin>,
        made_of: Vec<String>,
    ) -> Self {
        Self { key, winner, losers, made_of }
    }

    /// The dotted key that was asked for.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The place whose value holds. For a table, the highest one that adds to it.
    #[must_use]
    pub fn winner(&self) -> &Origin {
        &self.winner
    }

    /// The places whose values do not hold, the highest first. For a table, the others that add
    /// to it.
    #[must_use]
    pub fn losers(&self) -> &[Origin] {
        &self.losers
    }

    /// What the text of the winner was filled in with (`${…}`), each with its place: `"http.port
    /// (config/config.default.toml:2)"`, `"environment variable HOME"`. The winner's own value is
    /// the text as it was written.
    #[must_use]
    pub fn made_of(&self) -> &[String] {
        &self.made_of
    }
}

/// One place that sets a value. `Display` prints the place: `config/config.default.toml:3`.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    layer: Layer,
    source: String,
    line: Option<usize>,
    value: Json,
}

impl Origin {
    pub(super) fn new(layer: Layer, source: String, line: Option<usize>, value: Json) -> Self {
        Self { layer, source, line, value }
    }

    /// The layer that the place belongs to.
    #[must_use]
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// The file's path (below the application's root where it lies there), the environment
    /// variable, or the name under which the value was added.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The line in the file, counted from 1, where it is known.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// What this place sets, as it is written there, with secrets masked.
    #[must_use]
    pub fn value(&self) -> &Json {
        &self.value
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}
