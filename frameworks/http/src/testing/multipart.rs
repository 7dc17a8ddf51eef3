//! Forms with files.

use bytes::{BufMut, Bytes, BytesMut};

/// Between the parts; no part of a test has it in itself.
const BOUNDARY: &str = "----polyport-7d2f1c4be96a0358";

/// A form with files (`multipart/form-data`, RFC 7578), see
/// [`HttpRequest::multipart`](super::HttpRequest::multipart).
///
/// # Examples
/// ```
/// use polyport_http::testing::Multipart;
///
/// let form = Multipart::new().text("title", "a cat").file("picture", "cat.png", "image/png", "…");
/// # drop(form);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it is the body of a request"]
pub struct Multipart(BytesMut);

impl Multipart {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    pub fn text(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{}\"", quoted(name)), None, value.as_bytes())
    }

    /// Adds a file.
    pub fn file(
        self,
        name: &str,
        file_name: &str,
        content_type: &str,
        content: impl AsRef<[u8]>,
    ) -> Self {
        let names = format!("name=\"{}\"; filename=\"{}\"", quoted(name), quoted(file_name));
        self.part(&names, Some(content_type), content.as_ref())
    }

    fn part(mut self, names: &str, content_type: Option<&str>, content: &[u8]) -> Self {
        let kind = content_type.map(|kind| format!("content-type: {kind}\r\n"));
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; {names}\r\n{}\r\n",
            kind.unwrap_or_default()
        );
        self.0.put(head.as_bytes());
        self.0.put(content);
        self.0.put(&b"\r\n"[..]);
        self
    }

    /// Content type and body.
    pub(super) fn finish(mut self) -> (String, Bytes) {
        self.0.put(format!("--{BOUNDARY}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={BOUNDARY}"), self.0.freeze())
    }
}

/// As browsers write names (the HTML standard, section 4.10.21.8).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
