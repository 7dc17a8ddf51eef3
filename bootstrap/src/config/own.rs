//! The section `config`: what the configuration does about itself.

use std::{fmt, path::PathBuf};

use garde::Validate;
use polyport_macros::Settings;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

use super::RemoteSettings;

/// The section `config`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("config")]
#[settings(crate = crate)]
#[garde(allow_unvalidated)]
pub struct ConfigSettings {
    /// Where the merged configuration and its sources are written to at start and at each reload,
    /// secrets masked; default nowhere.
    pub dump: DumpFolder,
    /// Whether the process reloads its configuration when a file of it changes; default `false`.
    /// SIGHUP reloads it in any case.
    pub watch: bool,
    /// How remote configuration is fetched.
    #[garde(dive)]
    pub remote: RemoteSettings,
}

/// The folder that the dump is written to: `false` for none, `true` for `run`, or its path below
/// the application's root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpFolder(Option<PathBuf>);

impl DumpFolder {
    /// The folder's path, if a dump is to be written.
    #[must_use]
    pub fn path(&self) -> Option<&PathBuf> {
        self.0.as_ref()
    }
}

impl Serialize for DumpFolder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(path) => path.serialize(serializer),
            None => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for DumpFolder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Folder;

        impl Visitor<'_> for Folder {
            type Value = DumpFolder;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or the path of a folder")
            }

            fn visit_bool<E: Error>(self, wanted: bool) -> Result<DumpFolder, E> {
                Ok(DumpFolder(wanted.then(|| PathBuf::from("run"))))
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<DumpFolder, E> {
                Ok(DumpFolder(Some(PathBuf::from(path))))
            }
        }

        deserializer.deserialize_any(Folder)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_dump_goes_nowhere_to_run_or_to_a_folder() {
        let folder = |value| serde_json::from_value::<DumpFolder>(value).unwrap();
        assert_eq!(folder(json!(false)), DumpFolder::default());
        assert_eq!(folder(json!(true)).path(), Some(&PathBuf::from("run")));
        assert_eq!(folder(json!("/var/x")).path(), Some(&PathBuf::from("/var/x")));
        let error = serde_json::from_value::<DumpFolder>(json!(7)).unwrap_err();
        assert!(error.to_string().contains("expected true, false or the path of a folder"));
    }
}
