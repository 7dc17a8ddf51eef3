//! Certificates and keys in settings (PEM, RFC 7468): the text itself, or the path of a file.

use std::{fs, path::Path};

use super::Secret;
use crate::{Error, Result};

/// The text that `value`, which stands at `key`, is or names.
///
/// # Errors
/// Returns an error that names key and file where the file cannot be read.
pub fn read(key: &str, value: &str) -> Result<String> {
    if is_text(value) {
        return Ok(value.to_owned());
    }
    fs::read_to_string(value).map_err(|error| {
        Error::configuration(format!("{key}: the file {value} cannot be read")).caused_by(error)
    })
}

/// The same of a secret. It may have been meant as the text: nobody is to read it in a report.
///
/// # Errors
/// Returns an error that names only the key where the file cannot be read.
pub fn read_secret(key: &str, value: &Secret<String>) -> Result<String> {
    if is_text(value.expose()) {
        return Ok(value.expose().to_owned());
    }
    fs::read_to_string(value.expose()).map_err(|error| {
        Error::configuration(format!("{key} is no PEM text, and no file that can be read"))
            .advise("name a file that this process may read, or set the text from -----BEGIN on")
            .caused_by(error)
    })
}

/// The same with a relative path made absolute; a text stays as it is.
#[must_use]
pub fn within(root: &Path, value: String) -> String {
    if is_text(&value) { value } else { root.join(value).to_string_lossy().into_owned() }
}

fn is_text(value: &str) -> bool {
    value.trim_start().starts_with("-----BEGIN ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_as_a_key_stands_in_no_report() {
        let key = Secret::from("MIIEvQIBADANBg".to_owned());
        let error = read_secret("tls.key", &key).expect_err("neither text nor file");
        assert!(!format!("{error:?} {error}").contains("MIIEvQ"), "{error:?}");
        assert!(error.to_string().contains("tls.key"), "{error}");
    }

    #[test]
    fn a_relative_path_begins_at_the_root_and_a_text_stays_as_it_is() {
        let root = Path::new("/app");
        let text = "-----BEGIN CERTIFICATE-----";
        assert_eq!(within(root, "tls/ca.pem".to_owned()), "/app/tls/ca.pem");
        assert_eq!(within(root, "/etc/key.pem".to_owned()), "/etc/key.pem");
        assert_eq!(within(root, text.to_owned()), text);
        assert_eq!(read("tls.ca", text).expect("a text"), text);
    }
}
