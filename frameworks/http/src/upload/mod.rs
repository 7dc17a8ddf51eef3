//! Files that clients send, on their way to disk.

mod file;
mod name;
mod parts;
mod settings;

use std::time::Duration;

use futures_util::StreamExt;
use http::header::CONTENT_TYPE;
use multer::Field;
use polyport_bootstrap::{
    Error,
    operation::{
        BodyFormat, BodyStream, Codecs, Context, Fault, FromContext, InputSlot, NoPayload,
        OperationInfo,
    },
};
use tokio::{io::AsyncWriteExt, time::timeout};

pub use self::{file::UploadedFile, settings::UploadSettings};
use self::{
    file::{create, failed},
    parts::{Parts, malformed},
};
use crate::{PROTOCOL, request::Head};

/// A form with files (`multipart/form-data`, RFC 7578), as an argument of an operation: its files
/// have been written to disk as they came in, within the limits of [`UploadSettings`], and are
/// removed with it. A client that leaves before the end leaves no file behind.
///
/// On HTTP only: elsewhere it is a wiring error at start. An
/// [`Input`](struct@polyport_bootstrap::operation::Input) beside it is bound from path, query and
/// headers. For small files, which fit in memory, a field of an input may be a
/// [`FilePart`](polyport_bootstrap::operation::FilePart) instead.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::Fault;
/// use polyport_http::Upload;
///
/// async fn upload(mut upload: Upload) -> Result<u64, Fault> {
///     let title = upload.text("title").unwrap_or("untitled").to_owned();
///     let missing = || Fault::invalid_argument("NO_REPORT", "send a report");
///     let report = upload.take("report").ok_or_else(missing)?;
///     let length = report.length();
///     report.persist(format!("reports/{}.pdf", title.len())).await?;
///     Ok(length)
/// }
/// # drop(upload);
/// ```
#[derive(Debug, Default)]
pub struct Upload {
    texts: Vec<(String, String)>,
    files: Vec<UploadedFile>,
}

impl Upload {
    /// The text of a field; the first one where there are several.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.texts().find(|(known, _)| *known == field).map(|(_, text)| text)
    }

    /// All texts with the names of their fields, in the order in which they came.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(field, text)| (field.as_str(), text.as_str()))
    }

    /// The file of a field; the first one where there are several.
    #[must_use]
    pub fn file(&self, field: &str) -> Option<&UploadedFile> {
        self.files.iter().find(|file| file.field() == field)
    }

    /// All files, in the order in which they came.
    #[must_use]
    pub fn files(&self) -> &[UploadedFile] {
        &self.files
    }

    /// Takes the file of a field out.
    pub fn take(&mut self, field: &str) -> Option<UploadedFile> {
        let at = self.files.iter().position(|file| file.field() == field)?;
        Some(self.files.remove(at))
    }

    /// Takes all files out.
    #[must_use]
    pub fn into_files(self) -> Vec<UploadedFile> {
        self.files
    }
}

impl FromContext for Upload {
    type Payload = NoPayload;

    async fn from_context(context: &Context, slot: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let boundary = boundary(context)?;
        let mut body = BodyStream::from_context(context, slot).await?;
        let read = Reader::of(context)?.read(Parts::new(&mut body, &boundary)).await;
        if read.is_err() {
            discard(body).await;
        }
        read
    }

    fn describe(info: &mut OperationInfo) {
        info.stream_body();
        info.require_protocol(PROTOCOL, "Upload");
    }
}

fn boundary(context: &Context) -> Result<Box<str>, Fault> {
    let content_type = context.metadata.get(CONTENT_TYPE);
    let format =
        content_type.map(|value| Codecs::default().format(value.as_bytes())).transpose()?;
    match format {
        Some(BodyFormat::Multipart { boundary }) => Ok(boundary),
        _ => Err(refused(415, "UNSUPPORTED_MEDIA_TYPE", "send a form as multipart/form-data")),
    }
}

/// How much of what nobody wants is read, in bytes and time, so that its sender comes to read the
/// answer.
const DISCARDED: (usize, Duration) = (1024 * 1024, Duration::from_millis(500));

async fn discard(mut body: BodyStream) {
    let all = async {
        let mut left = DISCARDED.0;
        while let Some(Ok(bytes)) = body.next().await {
            let Some(less) = left.checked_sub(bytes.len()) else { return };
            left = less;
        }
    };
    let _ = timeout(DISCARDED.1, all).await;
}

/// Reads a form within its limits.
struct Reader<'c> {
    settings: &'c UploadSettings,
    folder: std::path::PathBuf,
    upload: Upload,
}

impl<'c> Reader<'c> {
    fn of(context: &'c Context) -> Result<Self, Fault> {
        let head = context.extension::<Head>();
        let site = &head.ok_or_else(|| Error::other("the call did not come by HTTP"))?.place.site;
        let settings = context.operation().attribute().unwrap_or(&site.uploads);
        let folder = match [&settings.directory, &site.uploads.directory] {
            [own, _] if !own.as_os_str().is_empty() => site.base.join(own),
            [_, all] if !all.as_os_str().is_empty() => site.base.join(all),
            _ => std::env::temp_dir(),
        };
        Ok(Self { settings, folder, upload: Upload::default() })
    }

    async fn read(mut self, mut parts: Parts<'_, BodyStream>) -> Result<Upload, Fault> {
        let mut count = 0;
        while let Some(part) = parts.next().await? {
            count += 1;
            if count > self.settings.max_parts {
                let most = self.settings.max_parts;
                return Err(refused(413, "TOO_MANY_PARTS", format!("send {most} parts at most")));
            }
            let Some(field) = part.name().map(str::to_owned) else {
                return Err(malformed("a part has no name"));
            };
            match part.file_name().map(str::to_owned) {
                Some(name) => self.file(&mut parts, part, field, &name).await?,
                None => self.text(&mut parts, part, field).await?,
            }
        }
        Ok(self.upload)
    }

    async fn text(
        &mut self,
        parts: &mut Parts<'_, BodyStream>,
        mut part: Field<'static>,
        field: String,
    ) -> Result<(), Fault> {
        let mut text = Vec::new();
        while let Some(bytes) = parts.bytes(&mut part).await? {
            if text.len() + bytes.len() > self.settings.text_limit {
                return Err(too_long("TEXT_TOO_LONG", &field, self.settings.text_limit as u64));
            }
            text.extend_from_slice(&bytes);
        }
        let text = String::from_utf8(text);
        let text = text.map_err(|_| malformed(format!("the field {field:?} is no UTF-8")))?;
        self.upload.texts.push((field, text));
        Ok(())
    }

    async fn file(
        &mut self,
        parts: &mut Parts<'_, BodyStream>,
        mut part: Field<'static>,
        field: String,
        given: &str,
    ) -> Result<(), Fault> {
        let name = name::sanitised(given);
        let content_type = part.content_type().map(ToString::to_string);
        if !self.settings.takes(content_type.as_deref(), name.as_deref()) {
            let message = format!("files of this kind are not taken in the field {field:?}");
            return Err(refused(415, "FILE_TYPE_REFUSED", message));
        }
        let (mut uploaded, mut file) = create(&self.folder, field, name, content_type).await?;
        while let Some(bytes) = parts.bytes(&mut part).await? {
            uploaded.length += bytes.len() as u64;
            if uploaded.length > self.settings.file_limit {
                return Err(too_long("FILE_TOO_LARGE", uploaded.field(), self.settings.file_limit));
            }
            file.write_all(&bytes).await.map_err(|error| failed("cannot be written", error))?;
        }
        file.flush().await.map_err(|error| failed("cannot be written", error))?;
        self.upload.files.push(uploaded);
        Ok(())
    }
}

fn too_long(reason: &'static str, field: &str, limit: u64) -> Fault {
    refused(413, reason, format!("the field {field:?} is longer than {limit} bytes"))
}

fn refused(
    status: u16,
    reason: &'static str,
    message: impl Into<std::borrow::Cow<'static, str>>,
) -> Fault {
    Fault::invalid_argument(reason, message).with_status(status)
}
