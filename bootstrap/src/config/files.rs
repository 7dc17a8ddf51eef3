//! The config files: one of four endings for each layer.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Environment,
    environment::{DECLARED, PERSONAL_FILE},
    formats::{self, Fault, Format, Places},
    layers::{Entry, Layer, Source},
    nearest::nearest,
};
use crate::{Error, Result};

const ENDINGS: [(&str, Format); 4] =
    [("toml", Format::Toml), ("yaml", Format::Yaml), ("yml", Format::Yaml), ("json", Format::Json)];

/// A file that was read, to find lines in.
#[derive(Clone)]
pub(super) struct SourceFile {
    shown: Arc<str>,
    places: Arc<Places>,
}

impl SourceFile {
    /// The file's path as people are shown it.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// The line of the key at `path`, if that can be told for certain.
    pub(super) fn line_of<S: AsRef<str>>(&self, path: &[S]) -> Option<usize> {
        self.places.line_of(path)
    }
}

/// Which files are read, and which have to be there.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) environment: Environment,
    pub(super) root: PathBuf,
    pub(super) dir: PathBuf,
    /// Whether somebody said where the files are, who wants to know if they are not.
    pub(super) dir_is_given: bool,
    /// Environments that need no file of their own.
    pub(super) declared: Vec<String>,
    /// What stands in `config.{…}.*` for those that have to be there.
    pub(super) required: Vec<String>,
}

impl Files {
    pub(super) fn new(environment: Environment, root: PathBuf) -> Self {
        let dir = root.join("config");
        let (declared, required) = (DECLARED.map(str::to_owned).to_vec(), Vec::new());
        Self { environment, root, dir, dir_is_given: false, declared, required }
    }

    /// Reads what is there, and says what is wrong with it or missing.
    pub(super) fn read(&self) -> (Vec<Entry>, Vec<Error>) {
        let (mut entries, mut faults) = (Vec::new(), Vec::new());
        if self.dir_is_given && !self.dir.is_dir() {
            faults.push(self.no_folder());
            return (entries, faults);
        }
        for (layer, part) in self.layers() {
            match self.read_layer(layer, part) {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => faults.extend(self.missing(part)),
                Err(errors) => faults.extend(errors),
            }
        }
        (entries, faults)
    }

    /// The layers that files of this environment hold, with the middle part of their names.
    fn layers(&self) -> Vec<(Layer, &str)> {
        let mut layers = vec![
            (Layer::DefaultFile, "default"),
            (Layer::EnvironmentFile, self.environment.as_str()),
        ];
        if self.environment.is_local() {
            layers.push((Layer::PersonalFile, PERSONAL_FILE));
        }
        layers
    }

    /// Reads the file of a layer; none is fine.
    fn read_layer(&self, layer: Layer, part: &str) -> Result<Option<Entry>, Vec<Error>> {
        let mut found = Vec::new();
        for (ending, format) in ENDINGS {
            let path = self.dir.join(format!("config.{part}.{ending}"));
            let shown = shown(&self.root, &path);
            match read(&path) {
                Ok(Some(text)) => found.push((shown, format, text)),
                Ok(None) => {}
                Err(error) => return Err(vec![error.context(shown)]),
            }
        }
        if let [(first, ..), (second, ..), ..] = &found[..] {
            return Err(vec![
                Error::configuration(format!("{first} and {second} are the same layer"))
                    .advise("keep one of them: two formats of one layer would have no order"),
            ]);
        }
        let entry = found.pop().map(|(shown, format, text)| entry(layer, shown, format, &text));
        entry.transpose()
    }

    /// What is wrong if there is no file `config.{part}.*`.
    fn missing(&self, part: &str) -> Option<Error> {
        if self.required.iter().any(|required| required == part) {
            return Some(self.no_file(part));
        }
        let declared = |part: &str| self.declared.iter().any(|declared| declared == part);
        (part == self.environment.as_str() && !declared(part)).then(|| self.unknown_environment())
    }

    fn no_folder(&self) -> Error {
        Error::configuration(format!("there is no folder {}", shown(&self.root, &self.dir)))
            .advise("create it, or correct where the config files are said to be")
    }

    fn no_file(&self, part: &str) -> Error {
        Error::configuration(format!("{} is required and not there", self.any_file(part)))
            .advise("create it, or do not require it (Bootstrap::require_files)")
    }

    fn unknown_environment(&self) -> Error {
        let (name, known) = (self.environment.as_str(), self.known_environments());
        let nearest = nearest(name, known.iter().map(String::as_str));
        let nearest = nearest.map_or(String::new(), |near| format!("; the nearest is {near}"));
        Error::configuration(format!("there is no environment {name}{nearest}")).advise(format!(
            "set POLYPORT_ENV to one of {}; create {}; or declare it: \
             Bootstrap::environments([\"{name}\"])",
            known.join(", "),
            self.any_file(name),
        ))
    }

    /// The environments that are declared, and those that have a file.
    fn known_environments(&self) -> Vec<String> {
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = files.filter_map(|file| file.file_name().into_string().ok());
        let mut with_file: Vec<_> = names.filter_map(|name| environment_of(&name)).collect();
        with_file.sort();
        let mut known = self.declared.clone();
        known.extend(with_file);
        let mut seen = std::collections::HashSet::new();
        known.retain(|name| seen.insert(name.clone()));
        known
    }

    /// What stands for a file in any format.
    fn any_file(&self, part: &str) -> String {
        let path = self.dir.join(format!("config.{part}"));
        format!("{}.{{toml,yaml,yml,json}}", shown(&self.root, &path))
    }
}

/// The environment that a file of this name belongs to.
fn environment_of(file: &str) -> Option<String> {
    let (name, ending) = file.strip_prefix("config.")?.rsplit_once('.')?;
    let known = ENDINGS.iter().any(|(known, _)| *known == ending);
    known.then(|| Environment::new(name).ok())?.map(|environment| environment.to_string())
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
        Err(error) if missing(&error) && path.is_symlink() => {
            let error = Error::configuration("it is a link that leads nowhere").caused_by(error);
            Err(error.advise("let it lead to a file, or remove it"))
        }
        Err(error) if missing(&error) => Ok(None),
        Err(error) => Err(Error::configuration("the file cannot be read").caused_by(error)),
    }
}

fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn entry(layer: Layer, shown: String, format: Format, text: &str) -> Result<Entry, Vec<Error>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = formats::parse(format, text);
    let parsed = parsed
        .map_err(|faults| Vec::from_iter(faults.into_iter().map(|fault| error(&shown, fault))))?;
    let source = SourceFile { shown: shown.into(), places: Arc::new(parsed.places) };
    Ok(Entry::new(layer, Source::File(source), parsed.values))
}

fn error(shown: &str, fault: Fault) -> Error {
    let place = match fault.place {
        Some((line, column)) => format!("{shown}:{line}:{column}"),
        None => shown.to_owned(),
    };
    Error::configuration(fault.message).context(place)
}
