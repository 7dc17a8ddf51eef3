//! Notices that config files have changed.
//!
//! It asks the file system now and then instead of being told: that also works on network file
//! systems and for volumes that a container is given, where events are not delivered, and the few
//! files of one folder cost nothing.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::Config;

/// How often the files are looked at. What has changed must have rested for as long before it
/// counts: an editor may write a file in several steps, and a deployment several files.
const INTERVAL: Duration = Duration::from_millis(500);

/// Looks at the config files of one folder.
#[derive(Debug)]
pub(crate) struct Watch {
    folder: PathBuf,
    /// As they were when they were last read.
    read: Mutex<Seen>,
}

/// What tells one state of the files from another, by their names.
type Seen = BTreeMap<std::ffi::OsString, State>;

/// Links are followed, so that a link that leads elsewhere (a Kubernetes ConfigMap) is a change.
#[derive(Debug, PartialEq, Eq, Clone)]
struct State {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Watch {
    /// Watches the files of `config`, which were read just now.
    pub(crate) fn new(config: &Config) -> Self {
        let folder = config.config_dir().to_owned();
        let read = Mutex::new(look(&folder));
        Self { folder, read }
    }

    /// Says that the files are going to be read as they are now.
    pub(crate) fn note_read(&self) {
        *self.read() = look(&self.folder);
    }

    /// Waits until the files are other ones than were last read, and have come to rest.
    ///
    /// # Cancel safety
    /// A change that was not told is told by the next call.
    pub(crate) async fn changed(&self) {
        let mut rest = Rest::default();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let Some(now) = self.look().await else { continue };
            if rest.has_come_with(&now) && now != *self.read() {
                return;
            }
        }
    }

    async fn look(&self) -> Option<Seen> {
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || look(&folder)).await.ok()
    }

    fn read(&self) -> MutexGuard<'_, Seen> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what is looked at has stopped changing.
#[derive(Default)]
struct Rest(Option<Seen>);

impl Rest {
    fn has_come_with(&mut self, now: &Seen) -> bool {
        let rests = self.0.as_ref() == Some(now);
        self.0 = Some(now.clone());
        rests
    }
}

/// The files whose names begin as those of config files do. One that goes away meanwhile is not
/// there.
fn look(folder: &PathBuf) -> Seen {
    let Ok(entries) = fs::read_dir(folder) else { return Seen::new() };
    let ours = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let is_config = name.to_string_lossy().starts_with("config.");
        let metadata = fs::metadata(entry.path()).ok().filter(|_| is_config)?;
        Some((name, State::of(&metadata)))
    });
    ours.collect()
}

impl State {
    fn of(metadata: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { length: metadata.len(), modified: metadata.modified().ok(), inode }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Environment;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("polyport-watch-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn watch(folder: &Path) -> Watch {
        let builder = super::super::ConfigBuilder::new(Environment::unittest(), folder);
        Watch::new(&builder.config_dir(folder).build().unwrap())
    }

    async fn is_told(watch: &Watch) {
        tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.expect("is told");
        watch.note_read();
    }

    #[tokio::test]
    async fn a_file_that_is_written_replaced_or_removed_is_a_change() {
        let folder = folder("files");
        let file = folder.join("config.default.toml");
        let watch = watch(&folder);
        fs::write(&file, "a = 1").unwrap();
        is_told(&watch).await;
        fs::write(folder.join("config.default.toml.new"), "a = 2").unwrap();
        fs::rename(folder.join("config.default.toml.new"), &file).unwrap();
        is_told(&watch).await;
        fs::remove_file(&file).unwrap();
        is_told(&watch).await;
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_that_lead_to_another_folder_are_a_change() {
        use std::os::unix::fs::symlink;
        let folder = folder("links");
        for (version, text) in [("..1", "a = 1"), ("..2", "a = 2")] {
            fs::create_dir_all(folder.join(version)).unwrap();
            fs::write(folder.join(version).join("config.default.toml"), text).unwrap();
        }
        symlink("..1", folder.join("..data")).unwrap();
        symlink("..data/config.default.toml", folder.join("config.default.toml")).unwrap();
        let watch = watch(&folder);
        symlink("..2", folder.join("..new")).unwrap();
        fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
        is_told(&watch).await;
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_still_changes_has_not_come_to_rest() {
        let folder = folder("noise");
        let mut rest = Rest::default();
        for step in 0..4 {
            fs::write(folder.join("config.default.toml"), "x".repeat(step)).unwrap();
            assert!(!rest.has_come_with(&look(&folder)), "step {step}");
        }
        assert!(rest.has_come_with(&look(&folder)));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_config_files_are_looked_at() {
        let folder = folder("others");
        fs::write(folder.join("notes.txt"), "x").unwrap();
        assert!(look(&folder).is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
