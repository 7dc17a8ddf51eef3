//! Files that the process writes for itself: whole or not at all, and for nobody else's eyes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::Value as Json;

use crate::{Error, Result};

/// Replaces the file at `path`, whose folder is created, by `value` as JSON (mode 0600).
pub(super) fn json(path: &Path, value: &Json) -> Result<()> {
    let text = format!("{value:#}\n");
    replace(path, text.as_bytes()).map_err(|error| {
        Error::configuration("the file cannot be written")
            .context(path.display().to_string())
            .caused_by(error)
            .advise("make its folder writable for the process, or name another one")
    })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = beside(path);
    write_through(&new, bytes).and_then(|()| fs::rename(&new, path)).inspect_err(|_| {
        // What is left of it helps nobody.
        let _ = fs::remove_file(&new);
    })
}

/// A name in the same folder, and so on the same file system, that nobody else writes to.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    path.with_extension(format!("{process}-{number}.new"))
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_private(path)?;
    file.write_all(bytes)?;
    // Otherwise a crash of the machine could leave an empty file under the final name.
    file.sync_all()
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("polyport-write-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let folder = folder("whole");
        let path = folder.join("deep").join("a.json");
        for value in [json!({ "a": "long ".repeat(100) }), json!({ "b": 1 })] {
            super::json(&path, &value).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), value);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn nobody_but_the_owner_may_read_it_even_where_the_old_one_was_open_to_all() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder("mode");
        let path = folder.join("a.json");
        fs::create_dir_all(&folder).unwrap();
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        super::json(&path, &json!({})).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_with_the_path_and_what_to_do() {
        let file = folder("file");
        fs::write(&file, "").unwrap();
        let error = super::json(&file.join("a.json"), &json!({})).unwrap_err();
        assert!(error.to_string().ends_with("a.json: the file cannot be written"), "{error}");
        assert!(error.advice().is_some());
        fs::remove_file(file).unwrap();
    }
}
