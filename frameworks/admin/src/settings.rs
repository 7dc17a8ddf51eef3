//! The section `admin` of the configuration.

use garde::Validate;
use polyport_bootstrap::{Error, Result, Settings, framework::SettingsSource};
use serde::{Deserialize, Serialize};

/// The section `admin`; a framework named `internal` reads `admin_internal`.
///
/// # Examples
/// ```
/// use polyport_admin::{AdminFramework, AdminSettings};
///
/// let settings = AdminSettings { host: "0.0.0.0".to_owned(), ..AdminSettings::default() };
/// let framework = AdminFramework::new().configure(settings);
/// # drop(framework);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[garde(allow_unvalidated)]
#[settings("admin")]
#[settings(crate = polyport_bootstrap)]
pub struct AdminSettings {
    /// The IP address or name to listen on; default `127.0.0.1`. Whoever reaches it may read all
    /// that is told here.
    #[garde(length(min = 1))]
    pub host: String,
    /// The TCP port; 0 takes a free one; default 7009.
    pub port: u16,
    /// Answers 200 while the process lives; default `/health/live`.
    #[garde(prefix("/"))]
    pub live: String,
    /// Answers 200 while the process wants calls, 503 otherwise; default `/health/ready`.
    #[garde(prefix("/"))]
    pub ready: String,
    /// Answers 200 once the process has been started, 503 before; default `/health/started`.
    #[garde(prefix("/"))]
    pub started: String,
    /// Whether `/config` shows the configuration, with secrets masked; default false.
    pub config: bool,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 7009,
            live: "/health/live".to_owned(),
            ready: "/health/ready".to_owned(),
            started: "/health/started".to_owned(),
            config: false,
        }
    }
}

impl AdminSettings {
    /// Refuses paths that stand for two things.
    pub(crate) fn check(&self, section: &str) -> Result<()> {
        let paths = [("live", &self.live), ("ready", &self.ready), ("started", &self.started)];
        let mut taken = vec!["/", "/status", "/timeline", "/config"];
        let mut errors = Vec::new();
        for (key, path) in paths {
            if taken.contains(&path.as_str()) {
                let text = format!("the path {path:?} stands for something else already");
                let error = Error::configuration(text).context(format!("{section}.{key}"));
                errors.push(error.advise("give it a path of its own, such as \"/livez\""));
            }
            taken.push(path);
        }
        Error::all(format!("the section {section} does not fit"), errors)
    }
}

impl From<AdminSettings> for SettingsSource<AdminSettings> {
    fn from(settings: AdminSettings) -> Self {
        Self::Value(settings)
    }
}
