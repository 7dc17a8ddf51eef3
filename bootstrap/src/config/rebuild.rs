//! The configuration read again, beside the one that holds.

use super::{Config, ConfigBuilder, remote::Fetched, tree};
use crate::{Error, Result};

impl Config {
    /// This configuration with its files read again and what was `fetched` in the place of what
    /// had been; everything else, environment variables and what before-hooks have computed, is
    /// as it was at start.
    ///
    /// # Errors
    /// As [`ConfigBuilder::build`], and what cannot be filled in.
    pub(crate) fn rebuilt(&self, fetched: &Fetched) -> Result<Config> {
        let mut builder = ConfigBuilder::again(self);
        for (remote, values) in &fetched.values {
            builder.replace(&remote.source(), tree::table_from_object(values)?);
        }
        let rebuilt = builder.build()?;
        let faults = rebuilt.layers().faults();
        Error::all(format!("{} faults in the configuration", faults.len()), faults)?;
        Ok(rebuilt)
    }
}
