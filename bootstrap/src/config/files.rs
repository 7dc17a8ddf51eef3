//! The config files: one of four formats for each layer.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use figment::{
    providers::{Format as _, Json, Toml, Yaml},
    value::Value,
};

use super::{
    layers::{Entry, Layer, Source},
    lines, tree,
};
use crate::{Error, Result};

/// The format of a config file, by its name's ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Toml,
    Yaml,
    Json,
}

const ENDINGS: [(&str, Format); 4] =
    [("toml", Format::Toml), ("yaml", Format::Yaml), ("yml", Format::Yaml), ("json", Format::Json)];

/// A file that was read, to find lines in.
#[derive(Clone)]
pub(super) struct SourceFile {
    shown: Arc<str>,
    format: Format,
    text: Arc<str>,
}

impl SourceFile {
    /// The file's path as people are shown it.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// The line of the key at `path`, if that can be told for certain.
    pub(super) fn line_of<S: AsRef<str>>(&self, path: &[S]) -> Option<usize> {
        match self.format {
            Format::Toml => lines::line_of(&self.text, path),
            Format::Yaml | Format::Json => None,
        }
    }
}

/// Reads the file `{stem}.toml`, `.yaml`, `.yml` or `.json` of a layer; none is fine.
pub(super) fn read_layer(
    layer: Layer,
    root: &Path,
    dir: &Path,
    stem: &str,
) -> Result<Option<Entry>> {
    let mut found = Vec::new();
    for (ending, format) in ENDINGS {
        let path = dir.join(format!("{stem}.{ending}"));
        if let Some(text) = read(&path).map_err(|error| error.context(shown(root, &path)))? {
            found.push((path, format, text));
        }
    }
    if let [(first, ..), (second, ..), ..] = &found[..] {
        let (first, second) = (shown(root, first), shown(root, second));
        return Err(Error::configuration(format!("{first} and {second} are the same layer"))
            .advise("keep one of them: two formats of one layer would have no order"));
    }
    found
        .pop()
        .map(|(path, format, text)| entry(layer, shown(root, &path), format, text))
        .transpose()
}

/// `path` as people are shown it: below the root where it lies there.
pub(super) fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn read(path: &PathBuf) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|error| Error::configuration("the file is not UTF-8").caused_by(error)),
        Err(error) if missing(&error) => Ok(None),
        Err(error) => Err(Error::configuration("the file cannot be read").caused_by(error)),
    }
}

fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn entry(layer: Layer, shown: String, format: Format, text: String) -> Result<Entry> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let values = parse(format, text, &shown)?;
    let source = SourceFile { shown: shown.into(), format, text: text.into() };
    Ok(Entry { layer, source: Source::File(source), values })
}

fn parse(format: Format, text: &str, shown: &str) -> Result<Value> {
    let parsed = match format {
        Format::Toml => Toml::from_str::<Value>(text).map_err(|error| {
            let place = error.span().map(|span| lines::position(text, span.start));
            (place, error.message().to_owned())
        }),
        Format::Yaml => Yaml::from_str::<Value>(text).map_err(|error| {
            let place = error.location().map(|place| (place.line(), place.column()));
            (place, without_value(&error.to_string()))
        }),
        Format::Json => Json::from_str::<Value>(text)
            .map_err(|error| (Some((error.line(), error.column())), error.to_string())),
    };
    match parsed.map(tree::normalise) {
        Ok(values @ Value::Dict(..)) => Ok(values),
        // A YAML file in which everything is a comment.
        Ok(Value::Empty(..)) => Ok(tree::empty()),
        Ok(other) => Err(Error::configuration(format!(
            "the file must hold a table of sections, not {}",
            tree::kind_of(&other),
        ))
        .context(shown)),
        Err((place, message)) => Err(syntax_error(shown, place, &message)),
    }
}

/// A YAML value that is not what its tag says is quoted in the message, and may be a secret.
fn without_value(message: &str) -> String {
    match message.split_once("invalid value: ").zip(message.rsplit_once(", expected ")) {
        Some(((place, _), (_, expected))) => format!("{place}expected {expected}"),
        None => message.to_owned(),
    }
}

fn syntax_error(shown: &str, place: Option<(usize, usize)>, message: &str) -> Error {
    let Some((line, column)) = place else {
        return Error::configuration(message).context(shown);
    };
    let suffix = format!(" at line {line} column {column}");
    let message = message.strip_suffix(&suffix).unwrap_or(message);
    let message = message.trim().replace('\n', ", ");
    Error::configuration(message).context(format!("{shown}:{line}:{}", column.max(1)))
}
