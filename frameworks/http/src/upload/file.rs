//! A file that a client has sent.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use polyport_bootstrap::{Error, operation::Fault};
use uuid::Uuid;

/// A file that a client has sent, on disk. It is removed when this is dropped, unless it has been
/// [persisted](Self::persist).
#[derive(Debug)]
pub struct UploadedFile {
    field: String,
    name: Option<String>,
    content_type: Option<String>,
    pub(super) length: u64,
    path: TemporaryPath,
}

impl UploadedFile {
    /// The name of the form's field.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The file's name as the client has given it, without folders, and without whatever means
    /// something in a path. Names of different files may be the same.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The media type that the client has given; it may be wrong.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// How many bytes there are.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where it is until this is dropped.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path.0
    }

    /// Moves it to where it stays; a file that is there is replaced. On Unix its owner alone may
    /// read and write it.
    ///
    /// # Errors
    /// Returns an internal fault where it cannot be moved there; it is removed then.
    pub async fn persist(self, path: impl AsRef<Path>) -> Result<(), Fault> {
        let to = path.as_ref();
        let moved = match tokio::fs::rename(&self.path.0, to).await {
            // What is on another file system is copied, and shows up there as a whole.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                copied(&self.path.0, to).await
            }
            moved => moved,
        };
        moved.map_err(|error| failed(&format!("cannot be moved to {}", to.display()), error))
    }
}

async fn copied(from: &Path, to: &Path) -> io::Result<()> {
    let beside = TemporaryPath::in_folder(to.parent().unwrap_or(Path::new("")));
    tokio::fs::copy(from, &beside.0).await?;
    tokio::fs::rename(&beside.0, to).await
}

/// A file of nobody else's that is removed with it.
#[derive(Debug)]
struct TemporaryPath(PathBuf);

impl TemporaryPath {
    fn in_folder(folder: &Path) -> Self {
        Self(folder.join(format!("polyport-upload-{}", Uuid::new_v4().simple())))
    }
}

impl Drop for TemporaryPath {
    fn drop(&mut self) {
        // It may have been moved.
        let _ = fs::remove_file(&self.0);
    }
}

/// A new, empty file for a part of a form, and where to write it.
pub(super) async fn create(
    folder: &Path,
    field: String,
    name: Option<String>,
    content_type: Option<String>,
) -> Result<(UploadedFile, tokio::fs::File), Fault> {
    tokio::fs::create_dir_all(folder)
        .await
        .map_err(|error| failed(&format!("cannot be kept in {}", folder.display()), error))?;
    let path = TemporaryPath::in_folder(folder);
    // At once: whoever gave up waiting for it could not know whether there is a file to remove.
    let file = open_new(&path.0).map_err(|error| failed("cannot be written", error))?;
    let uploaded = UploadedFile { field, name, content_type, length: 0, path };
    Ok((uploaded, tokio::fs::File::from_std(file)))
}

fn open_new(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub(super) fn failed(what: &str, error: io::Error) -> Fault {
    let error = Error::other(format!("an uploaded file {what}")).caused_by(error);
    Fault::internal(error.advise("look at http.uploads.directory, its permissions and its space"))
}
