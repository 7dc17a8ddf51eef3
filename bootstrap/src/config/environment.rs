//! Which environment the process runs in.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{Error, Result};

/// The variable that names the environment.
pub(super) const VARIABLE: &str = "POLYPORT_ENV";

const LOCAL: &str = "local";
const UNITTEST: &str = "unittest";
const PRODUCTION: &str = "prod";
/// The environments that everybody has, whether there is a file for them or not.
pub(super) const DECLARED: [&str; 3] = [LOCAL, UNITTEST, PRODUCTION];
/// What `config.personal.*` is called after: it is one person's, and of no environment.
pub(super) const PERSONAL_FILE: &str = "personal";
/// `config.default.*` and `config.personal.*` are files of no environment.
const RESERVED: [&str; 2] = ["default", PERSONAL_FILE];

/// The name of the environment that the process runs in: `local` (the default), `unittest`,
/// `prod`, or any other of your own. It decides which `config.{environment}.*` file is read.
///
/// # Examples
/// ```
/// use polyport_bootstrap::config::Environment;
///
/// let environment: Environment = "staging".parse()?;
/// assert_eq!(environment.as_str(), "staging");
/// assert!(!environment.is_production());
/// assert!(Environment::default().is_local());
/// assert!("../etc".parse::<Environment>().is_err());
/// # Ok::<(), polyport_bootstrap::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Environment(Arc<str>);

impl Environment {
    /// The environment called `name`.
    ///
    /// # Errors
    /// The name becomes part of a file's name, so it consists of ASCII letters, digits, `-` and
    /// `_`; `default` and `personal` are taken by files that belong to no environment.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name == "production" {
            // Otherwise what only `prod` forbids would be allowed in production.
            return Err(Error::configuration("the environment of production is called \"prod\"")
                .advise("set POLYPORT_ENV=prod"));
        }
        if !name.is_empty() && name.bytes().all(fits) && !RESERVED.contains(&name) {
            return Ok(Self(name.into()));
        }
        Err(Error::configuration(format!("{name:?} cannot be the name of an environment")).advise(
            "use ASCII letters, digits, - and _, such as local, unittest, prod or staging; \
                 default and personal are taken",
        ))
    }

    /// The environment that `POLYPORT_ENV` names among `variables`; `local` where it is not set or
    /// empty.
    ///
    /// # Errors
    /// The variable's value cannot be the name of an environment ([`Environment::new`]).
    pub fn from_variables(variables: &[(String, String)]) -> Result<Self> {
        match variables.iter().find(|(name, _)| name == VARIABLE) {
            Some((_, name)) if !name.is_empty() => Self::new(name)
                .map_err(|error| error.context(format!("environment variable {VARIABLE}"))),
            _ => Ok(Self::default()),
        }
    }

    /// The environment of tests: `unittest`.
    #[must_use]
    pub fn unittest() -> Self {
        Self(UNITTEST.into())
    }

    /// The environment of production: `prod`.
    #[must_use]
    pub fn production() -> Self {
        Self(PRODUCTION.into())
    }

    /// The environment's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `local`, a developer's machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.as_str() == LOCAL
    }

    /// Whether this is `prod`.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.as_str() == PRODUCTION
    }
}

/// `local`.
impl Default for Environment {
    fn default() -> Self {
        Self(LOCAL.into())
    }
}

impl FromStr for Environment {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_the_config_folder_or_clash_are_refused() {
        for name in ["", "a/b", "..", "a b", "prod\n", "default", "personal", "größe"] {
            assert!(Environment::new(name).is_err(), "{name:?}");
        }
        for name in ["local", "unittest", "prod", "eu-1", "QA_2"] {
            assert_eq!(Environment::new(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn the_variable_names_it_and_an_empty_one_does_not() {
        let of = |value: &str| {
            Environment::from_variables(&[
                ("POLYPORT_ENVIRONMENT".to_owned(), "no".to_owned()),
                (VARIABLE.to_owned(), value.to_owned()),
            ])
        };
        assert!(Environment::from_variables(&[]).unwrap().is_local());
        assert!(of("").unwrap().is_local());
        assert_eq!(of("staging").unwrap().as_str(), "staging");
        assert_eq!(
            of("a/b").unwrap_err().to_string(),
            "environment variable POLYPORT_ENV: \"a/b\" cannot be the name of an environment",
        );
    }

    #[test]
    fn only_prod_is_production_and_only_local_is_local() {
        assert!(Environment::production().is_production());
        assert!(!Environment::production().is_local());
        assert!(Environment::default().is_local());
        assert!(!Environment::unittest().is_local());
    }
}
