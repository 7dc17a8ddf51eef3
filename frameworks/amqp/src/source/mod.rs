//! Which broker it is: one elsewhere, or the in-memory one inside this process.

#[cfg(feature = "embedded")]
mod embedded;

use polyport_bootstrap::{Environment, Error, Result};

#[cfg(feature = "embedded")]
use self::embedded::Embedded;
use crate::{broker::Broker, settings::AmqpSettings};

/// Which broker to connect to.
#[derive(Debug)]
pub(crate) enum Source {
    /// The one at a URL.
    Url(Broker),
    /// One to be started.
    #[cfg(feature = "embedded")]
    Embedded(Embedded),
}

impl Source {
    /// What the settings in `section` say; `in_memory` nothing leaves the process, whatever they
    /// say.
    ///
    /// # Errors
    /// Returns a configuration error where they name no broker, and none can or may be started.
    pub(crate) fn of(
        settings: &AmqpSettings,
        environment: &Environment,
        section: &str,
        in_memory: bool,
    ) -> Result<Self> {
        match &settings.url {
            _ if in_memory => piped(section, in_this_process()),
            Some(urls) => Ok(Self::Url(Broker::of(urls, &settings.tls, section)?)),
            None if environment.is_production() => Err(missing(section)
                .context("environment prod, where the in-memory broker is never used")),
            #[cfg(feature = "embedded")]
            None => Ok(Self::Embedded(Embedded::listening())),
            #[cfg(not(feature = "embedded"))]
            None => Err(missing(section)),
        }
    }

    /// The broker, where its address is known before the start.
    pub(crate) fn known(&self) -> Option<&Broker> {
        match self {
            Self::Url(broker) => Some(broker),
            #[cfg(feature = "embedded")]
            Self::Embedded(_) => None,
        }
    }

    pub(crate) fn is_embedded(&self) -> bool {
        !matches!(self, Self::Url(_))
    }

    /// The broker, started where it is ours.
    ///
    /// # Errors
    /// Returns an error where it cannot be started.
    pub(crate) async fn open(&mut self) -> Result<Broker> {
        match self {
            Self::Url(broker) => Ok(broker.clone()),
            #[cfg(feature = "embedded")]
            Self::Embedded(embedded) => embedded.start().await,
        }
    }

    pub(crate) async fn close(&mut self) {
        match self {
            Self::Url(_) => {}
            #[cfg(feature = "embedded")]
            Self::Embedded(embedded) => embedded.stop().await,
        }
    }
}

/// The in-memory broker, where this build has it.
fn in_this_process() -> Option<Source> {
    #[cfg(feature = "embedded")]
    return Some(Source::Embedded(Embedded::piped()));
    #[cfg(not(feature = "embedded"))]
    None
}

fn piped(section: &str, broker: Option<Source>) -> Result<Source> {
    broker.ok_or_else(|| {
        Error::configuration(format!("{section}: there is no in-memory broker in this build"))
            .advise(
                "a test that runs in_memory needs it: turn on the feature \"embedded\" of polyport \
                 in [dev-dependencies]",
            )
    })
}

fn missing(section: &str) -> Error {
    let variable = section.to_uppercase();
    Error::configuration(format!("{section}.url is not set")).advise(format!(
        "set {section}.url to the broker's URL in the configuration, or in the environment \
         variable POLYPORT__{variable}__URL: amqp://user:password@host:5672/%2f",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_needs_a_url_and_is_told_where_to_put_it() {
        let settings = AmqpSettings::default();
        let error = Source::of(&settings, &Environment::production(), "amqp", false);
        let error = error.expect_err("no URL");
        let report = format!("{error:?}");
        assert!(report.contains("amqp.url") && report.contains("POLYPORT__AMQP__URL"), "{report}");
        assert_eq!(error.exit_code(), 78);
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn elsewhere_the_in_memory_broker_stands_in() {
        let source = Source::of(&AmqpSettings::default(), &Environment::unittest(), "amqp", false);
        assert!(source.expect("a broker").is_embedded());
    }

    #[test]
    fn a_url_wins_everywhere() {
        let url = Some("amqp://broker.example".into());
        let settings = AmqpSettings { url, ..Default::default() };
        for environment in [Environment::unittest(), Environment::production()] {
            let source = Source::of(&settings, &environment, "amqp", false).expect("a URL");
            assert!(!source.is_embedded());
        }
    }

    #[test]
    fn in_memory_without_a_broker_the_missing_feature_is_told() {
        let error = piped("amqp", None).expect_err("is not built");
        let report = format!("{error:?}");
        assert!(report.contains("amqp: there is no in-memory broker in this build"), "{report}");
        assert!(report.contains("\"embedded\""), "{report}");
        assert_eq!(error.exit_code(), 78);
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn in_memory_no_url_counts() {
        let url = Some("amqp://broker.example".into());
        let settings = AmqpSettings { url, ..Default::default() };
        let source = Source::of(&settings, &Environment::unittest(), "amqp", true);
        assert!(source.expect("a broker").is_embedded());
    }
}
