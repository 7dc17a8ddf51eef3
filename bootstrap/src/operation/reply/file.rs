use std::{
    fmt::Write,
    io::{self, SeekFrom},
    ops::Range,
    path::{Component, Path},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ::bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::{HeaderValue, header::CONTENT_DISPOSITION};
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncSeekExt},
};

use super::{ByteStream, Reply, ReplyBody, bytes, media};
use crate::{Error, operation::Fault};

/// How much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// A file that was changed so shortly ago may be changed again without its time showing it.
const SETTLED: Duration = Duration::from_secs(2);

/// A file, read bit by bit as it is sent.
///
/// HTTP sends it with `ETag`, `Last-Modified` and a content type by the file's ending, answers
/// conditional requests with 304 and requests for a part with 206 (RFC 9110, sections 13 and 14).
/// The other protocols get its bytes, as of a [`ByteStream`].
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Fault, File};
///
/// async fn manual() -> Result<File, Fault> {
///     Ok(File::open("assets/manual.pdf").await?.download_as("Manual.pdf"))
/// }
/// # drop(manual);
/// ```
#[derive(Debug)]
pub struct File {
    file: Arc<std::fs::File>,
    content_type: HeaderValue,
    length: u64,
    modified: Option<SystemTime>,
    disposition: Option<HeaderValue>,
}

impl File {
    /// Opens a file whose path nobody outside has a say in.
    ///
    /// # Errors
    /// Returns a [`NotFound`](crate::FaultKind::NotFound) fault (`FILE_NOT_FOUND`) where there is
    /// no such file, an internal one where it cannot be read.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Fault> {
        let path = path.as_ref();
        Self::opened(path).await.map_err(|error| fault(path, error))
    }

    /// Opens the file that a caller names, below a folder and nowhere else: neither `..` nor a
    /// symbolic link leads out of it.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); what lies outside is not found.
    pub async fn open_in(folder: impl AsRef<Path>, path: &str) -> Result<Self, Fault> {
        let (folder, path) = (folder.as_ref(), path.trim_start_matches('/'));
        if !is_below(path) {
            return Err(not_found());
        }
        let whole = folder.join(path);
        let found = async {
            let (folder, file) = (fs::canonicalize(folder).await?, fs::canonicalize(&whole).await?);
            Ok(file.starts_with(folder).then_some(file))
        };
        match found.await.map_err(|error| fault(&whole, error))? {
            Some(file) => Self::open(file).await,
            None => Err(not_found()),
        }
    }

    async fn opened(path: &Path) -> io::Result<Self> {
        // A pipe would keep whoever opens it waiting.
        let metadata = fs::metadata(path).await?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let file = fs::File::open(path).await?;
        let metadata = file.metadata().await?;
        let extension = path.extension().and_then(|extension| extension.to_str());
        Ok(Self {
            file: Arc::new(file.into_std().await),
            content_type: media::of_extension(extension.unwrap_or_default()),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            disposition: None,
        })
    }

    /// Sets another content type than the one of the file's ending.
    #[must_use]
    pub fn content_type(mut self, content_type: &str) -> Self {
        self.content_type = bytes::header(content_type);
        self
    }

    /// Lets browsers save it under this name rather than show it (RFC 6266).
    #[must_use]
    pub fn download_as(mut self, name: &str) -> Self {
        self.disposition = Some(attachment(name));
        self
    }

    /// Weak while the file may be changed once more within what its time can tell.
    fn etag(&self) -> Option<HeaderValue> {
        let modified = self.modified?;
        let nanos = modified.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let settled = modified.elapsed().is_ok_and(|age| age >= SETTLED);
        let weak = if settled { "" } else { "W/" };
        HeaderValue::try_from(format!("{weak}\"{nanos:x}-{:x}\"", self.length)).ok()
    }
}

impl From<File> for ByteStream {
    fn from(file: File) -> Self {
        let etag = file.etag();
        let File { file, content_type, length, modified, .. } = file;
        let mut bytes = Self::seekable("", length, move |range| read(Arc::clone(&file), range));
        bytes.content_type = content_type;
        if let Some(etag) = etag {
            bytes = bytes.with_etag(etag);
        }
        match modified {
            Some(at) => bytes.with_last_modified(at),
            None => bytes,
        }
    }
}

impl From<File> for Reply {
    fn from(mut file: File) -> Self {
        let disposition = file.disposition.take();
        let reply = Self::new(ReplyBody::Stream(file.into()));
        match disposition {
            Some(disposition) => reply.with_header(CONTENT_DISPOSITION, disposition),
            None => reply,
        }
    }
}

/// Whether this leads downwards only, whatever system reads it.
fn is_below(path: &str) -> bool {
    !path.contains(['\\', '\0', ':'])
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn not_found() -> Fault {
    Fault::not_found("FILE_NOT_FOUND", "there is no such file")
}

fn fault(path: &Path, error: io::Error) -> Fault {
    use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound};
    match error.kind() {
        NotFound | NotADirectory | IsADirectory | InvalidInput | InvalidFilename => {
            not_found().caused_by(error)
        }
        _ => unreadable(error, &format!("the file {} cannot be read", path.display())),
    }
}

fn unreadable(error: io::Error, what: &str) -> Fault {
    Fault::internal(Error::other(what).caused_by(error))
}

/// A part that is being read.
struct Reading {
    source: Arc<std::fs::File>,
    /// None before the first read.
    file: Option<fs::File>,
    range: Range<u64>,
}

/// Only one part of a file is read: all of them have the position in it in common.
fn read(source: Arc<std::fs::File>, range: Range<u64>) -> impl Stream<Item = Result<Bytes, Fault>> {
    stream::try_unfold(Reading { source, file: None, range }, async |mut reading| {
        let piece = reading.next().await;
        let piece = piece.map_err(|error| unreadable(error, "a file that is being sent"))?;
        Ok(piece.map(|bytes| (bytes, reading)))
    })
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let left = self.range.end.saturating_sub(self.range.start);
        if left == 0 {
            return Ok(None);
        }
        let file = match &mut self.file {
            Some(file) => file,
            file => {
                let mut opened = fs::File::from_std(self.source.try_clone()?);
                opened.seek(SeekFrom::Start(self.range.start)).await?;
                file.insert(opened)
            }
        };
        let mut piece =
            BytesMut::with_capacity(usize::try_from(left).map_or(PIECE, |l| l.min(PIECE)));
        let read = file.take(left).read_buf(&mut piece).await?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has become shorter"));
        }
        self.range.start += read as u64;
        Ok(Some(piece.freeze()))
    }
}

/// `attachment` with a name that is plain ASCII, and, where it is not, with all of it as well.
fn attachment(name: &str) -> HeaderValue {
    let is_plain = |c: char| c.is_ascii_graphic() && !"\"\\/%".contains(c) || c == ' ';
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let mut text = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            let _ = match byte {
                byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                    text.write_char(char::from(byte))
                }
                byte => write!(text, "%{byte:02X}"),
            };
        }
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_leads_downwards_is_below() {
        for path in ["a", "a/b.txt", "a/..b/c", ""] {
            assert!(is_below(path), "{path}");
        }
        for path in ["..", "a/../b", "/etc", "./a", "a\\b", "c:x", "a\0"] {
            assert!(!is_below(path), "{path}");
        }
    }

    #[test]
    fn names_of_downloads_are_quoted() {
        assert_eq!(attachment("a b.pdf"), "attachment; filename=\"a b.pdf\"");
        assert_eq!(
            attachment("ä\".pdf"),
            "attachment; filename=\"__.pdf\"; filename*=UTF-8''%C3%A4%22.pdf"
        );
    }

    #[tokio::test]
    async fn a_caller_reaches_nothing_outside_of_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        assert!(File::open_in(folder, "lib.rs").await.is_ok());
        assert!(File::open_in(folder, "/operation/mod.rs").await.is_ok());
        for path in ["../Cargo.toml", "operation", "nothing", "lib.rs/x", ".."] {
            let fault = File::open_in(folder, path).await.expect_err(path);
            assert_eq!(fault.reason(), "FILE_NOT_FOUND", "{path}");
        }
    }

    #[tokio::test]
    async fn a_part_of_a_file_is_its_bytes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
        let whole = std::fs::read(path).expect("readable");
        for range in [0..whole.len(), 3..10, 5..5] {
            let file = ByteStream::from(File::open(path).await.expect("there"));
            let part = file.part(range.start as u64..range.end as u64);
            assert_eq!(part.length, Some(range.len() as u64));
            assert_eq!(part.collect(usize::MAX).await.expect("read").bytes, whole[range]);
        }
    }

    proptest! {
        #[test]
        fn no_name_of_a_download_is_lost(name in any::<String>()) {
            prop_assert!(attachment(&name).to_str().expect("ASCII").starts_with("attachment;"));
        }
    }
}
