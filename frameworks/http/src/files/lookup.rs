//! Which file answers a request.

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use polyport_bootstrap::{
    Error,
    operation::{
        ByteStream, Context, Fault, FaultKind, File, ParamNames, PathParams, Reply, ReplyBody,
    },
};

use crate::{
    encoding::{self, Coding},
    mount::NativeCall,
    request::Head,
};

/// A folder as it is served.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) folder: PathBuf,
    pub(super) index: Option<String>,
    pub(super) page: Option<String>,
    pub(super) cache_control: Option<HeaderValue>,
    pub(super) has_hidden: bool,
}

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

impl Folder {
    /// Answers a request; `depth` segments of its path are none of the file's.
    pub(super) async fn answer(&self, context: &Context, depth: usize) -> Result<Reply, Fault> {
        let head = context.extension::<Head>();
        let native = context.extension::<Arc<NativeCall>>();
        let (Some(head), Some(native)) = (head, native) else {
            return Err(Error::other("the call did not come by HTTP").into());
        };
        if head.method != Method::GET && head.method != Method::HEAD {
            return native.wrong_method(&head.method, Some(&METHODS));
        }
        let found = match self.named(context.input.uri.path(), depth) {
            Some(name) => self.find(&name, &context.input.uri, &context.metadata).await,
            None => Err(not_found()),
        };
        match found {
            Err(fault) if fault.kind() == FaultKind::NotFound => {
                self.missing(&context.metadata, native, &head.method, fault).await
            }
            found => found,
        }
    }

    /// The name of a file in the folder, where a path can be one; a folder's ends in a slash.
    fn named(&self, path: &str, depth: usize) -> Option<String> {
        // Before the first slash is nothing.
        let encoded = path.splitn(depth + 2, '/').nth(depth + 1).unwrap_or_default();
        let params = PathParams::decode(&NAME, [encoded]).ok()?;
        let name = params.get("path").unwrap_or_default();
        // An encoded slash is data, and no file has one in its name.
        let is_plain = name.matches('/').count() == encoded.matches('/').count();
        let segments = name.strip_suffix('/').unwrap_or(name);
        let is_served = |segment: &str| match segment {
            "" | "." | ".." => false,
            ".well-known" => true,
            segment => self.has_hidden || !segment.starts_with('.'),
        };
        let fits = segments.is_empty() || segments.split('/').all(is_served);
        (is_plain && fits && name != "/").then(|| name.to_owned())
    }

    async fn find(&self, name: &str, uri: &Uri, request: &HeaderMap) -> Result<Reply, Fault> {
        let Some(index) = self.index.as_deref() else { return self.open(name, request).await };
        if uri.path().ends_with('/') {
            return self.open(&format!("{name}{index}"), request).await;
        }
        match self.open(name, request).await {
            Err(fault) if fault.kind() == FaultKind::NotFound => {
                File::open_in(&self.folder, &format!("{name}/{index}")).await?;
                into_folder(uri)
            }
            found => found,
        }
    }

    /// The file, or the one beside it in a coding that the client takes.
    async fn open(&self, name: &str, request: &HeaderMap) -> Result<Reply, Fault> {
        let plain = File::open_in(&self.folder, name).await?;
        let mut reply = None;
        for coding in encoding::accepted(request, &Coding::ALL) {
            let coded = format!("{name}.{}", coding.extension());
            if let Ok(file) = File::open_in(&self.folder, &coded).await {
                reply = Some((coding, file));
                break;
            }
        }
        let plain = ByteStream::from(plain);
        let reply = match reply {
            None => Reply::new(ReplyBody::Stream(plain)),
            Some((coding, coded)) => {
                let mut bytes = ByteStream::from(coded);
                bytes.content_type = plain.content_type;
                let reply = Reply::new(ReplyBody::Stream(bytes));
                reply.with_header(header::CONTENT_ENCODING, coding.header())
            }
        };
        let reply = reply.with_header(header::VARY, VARY);
        Ok(match &self.cache_control {
            Some(value) => reply.with_header(header::CACHE_CONTROL, value.clone()),
            None => reply,
        })
    }

    /// What is answered where there is no such file.
    async fn missing(
        &self,
        request: &HeaderMap,
        native: &NativeCall,
        method: &Method,
        fault: Fault,
    ) -> Result<Reply, Fault> {
        if let Some(page) = self.page.as_deref().filter(|_| opens_page(request)) {
            let mut reply = self.open(page, request).await?;
            reply.headers_mut().insert(header::CACHE_CONTROL, NO_CACHE);
            reply.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
            return Ok(reply);
        }
        match native.is_known() {
            true => native.wrong_method(method, None),
            false => Err(fault),
        }
    }
}

const VARY: HeaderValue = HeaderValue::from_static("accept-encoding");

static NAME: LazyLock<ParamNames> = LazyLock::new(|| ["path"].into_iter().collect());

/// Whether a browser opens a page, rather than fetching a part of one.
fn opens_page(request: &HeaderMap) -> bool {
    let mut lines = request.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.any(|line| line.to_ascii_lowercase().contains("text/html"))
}

/// Sends the client to the folder that it has named without the slash at its end, from where
/// relative links lead into it. The target is relative, so that no path leads to another host.
fn into_folder(uri: &Uri) -> Result<Reply, Fault> {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::try_from(format!("./{last}/{query}")).map_err(|_| not_found())?;
    let reply = Reply::new(ReplyBody::Empty).with_status(StatusCode::TEMPORARY_REDIRECT);
    Ok(reply.with_header(header::LOCATION, location))
}

fn not_found() -> Fault {
    Fault::not_found("FILE_NOT_FOUND", "there is no such file")
}
