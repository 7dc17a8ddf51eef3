//! The section `http.uploads`.

use std::path::PathBuf;

use garde::Validate;
use serde::{Deserialize, Serialize};

/// The section `http.uploads`: what an [`Upload`](super::Upload) takes. As an attribute of an
/// operation it takes the section's place there, but for an empty `directory`.
///
/// The whole request is limited by `http.body_limit`, or the operation's own
/// [`BodyLimit`](crate::BodyLimit), and by `http.timeout`.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Fault, OperationExt};
/// use polyport_http::{BodyLimit, HttpRoutes, Upload, UploadSettings};
///
/// async fn set_picture(mut upload: Upload) -> Result<(), Fault> {
///     match upload.take("picture") {
///         Some(picture) => picture.persist("pictures/7").await,
///         None => Err(Fault::invalid_argument("NO_PICTURE", "send a picture")),
///     }
/// }
///
/// const MIB: usize = 1024 * 1024;
///
/// let pictures = UploadSettings {
///     file_limit: 8 * MIB as u64,
///     content_types: vec!["image/*".to_owned()],
///     ..UploadSettings::default()
/// };
/// let routes = HttpRoutes::default()
///     .post("/picture", set_picture.attr(BodyLimit(9 * MIB)).attr(pictures));
/// # drop(routes);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct UploadSettings {
    /// The folder that files are written to as they come in; a relative path begins at the base
    /// directory. It is made where it is missing. Default the system's folder for temporary files.
    pub directory: PathBuf,
    /// The longest file in bytes; a longer one is answered with 413. Stops clients that fill the
    /// disk. Default 10 MiB.
    pub file_limit: u64,
    /// The longest text of a form's field in bytes; a longer one is answered with 413. Stops clients
    /// that fill the memory. Default 64 KiB.
    pub text_limit: usize,
    /// How many parts, files and texts, a request may have; more are answered with 413. Stops
    /// clients that fill the folder with small files. Default 64.
    #[garde(range(min = 1))]
    pub max_parts: usize,
    /// The media types of files, as clients name them: `image/png`, or `image/*`. Others are
    /// answered with 415. Default all. Clients can say what they like: what has to be a picture is to
    /// be looked at.
    #[garde(inner(custom(is_media_range)))]
    pub content_types: Vec<String>,
    /// The endings of files' names, without their dots: `png`. Others are answered with 415. Default
    /// all.
    #[garde(inner(custom(is_ending)))]
    pub extensions: Vec<String>,
}

impl Default for UploadSettings {
    fn default() -> Self {
        Self {
            directory: PathBuf::new(),
            file_limit: 10 * 1024 * 1024,
            text_limit: 64 * 1024,
            max_parts: 64,
            content_types: Vec::new(),
            extensions: Vec::new(),
        }
    }
}

impl UploadSettings {
    /// Whether files of this media type and name are taken.
    pub(super) fn takes(&self, content_type: Option<&str>, name: Option<&str>) -> bool {
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let ending = name.and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending);
        (self.content_types.is_empty() || self.content_types.iter().any(|r| covers(r, essence)))
            && (self.extensions.is_empty()
                || self.extensions.iter().any(|known| known.eq_ignore_ascii_case(ending)))
    }
}

fn covers(range: &str, essence: &str) -> bool {
    match (range.strip_suffix("/*"), essence.split_once('/')) {
        (Some(kind), Some((of, _))) => kind.eq_ignore_ascii_case(of),
        _ => range.eq_ignore_ascii_case(essence),
    }
}

fn is_media_range(range: &str, (): &()) -> garde::Result {
    let is_range = range.split_once('/').is_some_and(|(kind, sub)| {
        !kind.is_empty() && kind != "*" && !sub.is_empty() && !sub.contains(['/', ';', ' '])
    });
    if is_range {
        return Ok(());
    }
    Err(garde::Error::new(format!(
        "{range:?} is no media type: write it like image/png or image/*"
    )))
}

fn is_ending(ending: &str, (): &()) -> garde::Result {
    if !ending.is_empty() && !ending.contains(['.', '/', '*']) {
        return Ok(());
    }
    Err(garde::Error::new(format!("{ending:?} is no ending: write it like png")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_type_and_ending() {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let settings = UploadSettings {
            content_types: owned(&["image/*", "text/csv"]),
            extensions: owned(&["png", "csv"]),
            ..UploadSettings::default()
        };
        assert!(settings.validate().is_ok());
        for (content_type, name, taken) in [
            (Some("image/png"), Some("a.PNG"), true),
            (Some("Text/CSV; charset=utf-8"), Some("a.b.csv"), true),
            (Some("image/png"), Some("a.exe"), false),
            (Some("image/png"), Some("png"), false),
            (Some("images/png"), Some("a.png"), false),
            (Some("text/plain"), Some("a.csv"), false),
            (None, Some("a.png"), false),
            (Some("image/png"), None, false),
        ] {
            assert_eq!(settings.takes(content_type, name), taken, "{content_type:?} {name:?}");
        }
        assert!(UploadSettings::default().takes(None, None));
        for wrong in ["png", "*/*", "image/", "image/png; q=1"] {
            let settings =
                UploadSettings { content_types: owned(&[wrong]), ..UploadSettings::default() };
            assert!(settings.validate().is_err(), "{wrong}");
        }
    }
}
