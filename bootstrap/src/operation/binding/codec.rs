//! Codecs: what turns a body into fields, by its content type.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::Arc,
};

use http::{HeaderMap, header};

use crate::{Error, Result, operation::Fault};

/// A way of writing bodies beyond those that are built in (JSON, form, multipart), added with
/// [`ModuleBuilder::codec`](crate::ModuleBuilder::codec).
///
/// It rewrites a body as JSON, from which all inputs are bound alike, with their fields, rules and
/// faults. Formats whose messages only their own types understand, as protobuf, are decoded by type:
/// [`ModuleBuilder::typed_codec`](crate::ModuleBuilder::typed_codec).
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Codec, Fault};
///
/// /// One `name: value` a line.
/// struct Lines;
///
/// impl Codec for Lines {
///     fn content_types(&self) -> &[&str] {
///         &["text/x-lines"]
///     }
///
///     fn to_json(&self, body: &[u8]) -> Result<Vec<u8>, Fault> {
///         let text = std::str::from_utf8(body)
///             .map_err(|_| Fault::invalid_argument("INVALID_INPUT", "the lines are not UTF-8"))?;
///         let fields: serde_json::Map<_, _> = text
///             .lines()
///             .filter_map(|line| line.split_once(": "))
///             .map(|(name, value)| (name.to_owned(), value.into()))
///             .collect();
///         Ok(serde_json::Value::from(fields).to_string().into_bytes())
///     }
/// }
/// ```
pub trait Codec: Send + Sync + 'static {
    /// The media types of such bodies, in lower case and without parameters.
    fn content_types(&self) -> &[&str];

    /// Rewrites a body as JSON.
    ///
    /// # Errors
    /// Returns an [`InvalidArgument`](crate::FaultKind::InvalidArgument) fault where it is
    /// malformed.
    fn to_json(&self, body: &[u8]) -> Result<Vec<u8>, Fault>;
}

/// How the body of a call is written; [`Codecs`] tells it by the content type.
#[derive(Debug, Clone, Default)]
pub enum BodyFormat {
    /// JSON (RFC 8259).
    #[default]
    Json,
    /// `application/x-www-form-urlencoded` (WHATWG URL, section 5).
    Form,
    /// `multipart/form-data` (RFC 7578).
    Multipart {
        /// What stands between the parts.
        boundary: Box<str>,
    },
    /// A format that a module added.
    Added(AddedFormat),
    /// None that is read here: binding refuses it, behind the guards.
    Unknown(UnknownFormat),
}

/// What is said of a body that nobody reads.
#[derive(Debug, Clone)]
pub struct UnknownFormat {
    reason: &'static str,
    message: Box<str>,
}

impl UnknownFormat {
    /// A body that is malformed as a whole: what stands around the input in it, say.
    #[must_use]
    pub fn malformed(reason: &'static str, message: impl Into<Box<str>>) -> Self {
        Self { reason, message: message.into() }
    }

    pub(super) fn fault(&self) -> Fault {
        match self.reason {
            UNSUPPORTED => unsupported(self.message.clone().into_string()),
            reason => Fault::invalid_argument(reason, self.message.clone().into_string()),
        }
    }
}

/// A format that a module added: one [`Codec`], or decoders by type. A cheap handle.
#[derive(Clone)]
pub struct AddedFormat(Arc<Added>);

#[derive(Clone)]
struct Added {
    content_type: Box<str>,
    codec: Option<Arc<dyn Codec>>,
    /// A `Decode<T>` for each `T`.
    typed: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

type Decode<T> = Box<dyn Fn(&[u8]) -> Result<T, Fault> + Send + Sync>;

impl fmt::Debug for AddedFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AddedFormat").field(&self.0.content_type).finish()
    }
}

impl AddedFormat {
    /// Decodes a body straight into `T`, where somebody said how.
    pub(super) fn decode<T: 'static>(&self, body: &[u8]) -> Option<Result<T, Fault>> {
        let decode = self.0.typed.get(&TypeId::of::<T>())?.downcast_ref::<Decode<T>>()?;
        Some(decode(body))
    }

    /// Rewrites a body as JSON.
    pub(super) fn to_json(&self, body: &[u8]) -> Result<Vec<u8>, Fault> {
        match &self.0.codec {
            Some(codec) => codec.to_json(body),
            None => Err(unsupported(format!(
                "this operation's input is not read from {}",
                self.0.content_type
            ))),
        }
    }
}

/// The formats in which bodies are understood, by content type: those built in, and what modules
/// added. Made at start, and read by every call without a lock.
#[derive(Debug, Clone, Default)]
pub struct Codecs {
    added: Vec<AddedFormat>,
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

impl Codecs {
    pub(crate) fn add(&mut self, codec: impl Codec) -> Result<()> {
        let codec: Arc<dyn Codec> = Arc::new(codec);
        for content_type in codec.content_types() {
            let added = self.entry(content_type)?;
            if added.codec.is_some() {
                return Err(taken(content_type));
            }
            added.codec = Some(Arc::clone(&codec));
        }
        Ok(())
    }

    pub(crate) fn add_typed<T: 'static>(
        &mut self,
        content_type: &str,
        decode: impl Fn(&[u8]) -> Result<T, Fault> + Send + Sync + 'static,
    ) -> Result<()> {
        let decode: Decode<T> = Box::new(decode);
        let typed = &mut self.entry(content_type)?.typed;
        match typed.insert(TypeId::of::<T>(), Arc::new(decode)) {
            None => Ok(()),
            Some(_) => Err(taken(&format!("{content_type} as {}", std::any::type_name::<T>()))),
        }
    }

    /// What was added for a content type.
    fn entry(&mut self, content_type: &str) -> Result<&mut Added> {
        let lower = content_type.trim().to_ascii_lowercase();
        if [JSON, FORM, MULTIPART].contains(&&*lower) {
            return Err(taken(content_type));
        }
        if !lower.contains('/') || lower.contains(';') {
            return Err(Error::wiring(format!("{content_type:?} is no media type"))
                .advise("write type/subtype, without parameters"));
        }
        let known = self.added.iter().position(|format| *format.0.content_type == *lower);
        let position = known.unwrap_or(self.added.len());
        if known.is_none() {
            let (codec, typed) = (None, HashMap::new());
            let added = Added { content_type: lower.into(), codec, typed };
            self.added.push(AddedFormat(Arc::new(added)));
        }
        Ok(Arc::make_mut(&mut self.added[position].0))
    }

    /// How the body of a call with these headers is written; JSON where they do not say.
    ///
    /// # Errors
    /// Returns a fault (`UNSUPPORTED_MEDIA_TYPE`, 415) for a content type that nobody reads, for
    /// several, and for a body with a content encoding.
    pub fn format_of(&self, headers: &HeaderMap) -> Result<BodyFormat, Fault> {
        if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(unsupported("a body with a content encoding is not understood here"));
        }
        let mut given = headers.get_all(header::CONTENT_TYPE).iter();
        match (given.next(), given.next()) {
            (None, _) => Ok(BodyFormat::Json),
            (Some(one), None) => self.format(one.as_bytes()),
            (Some(_), Some(_)) => Err(unsupported("there are two content types")),
        }
    }

    /// How a body of this content type is written.
    ///
    /// # Errors
    /// Returns a fault (`UNSUPPORTED_MEDIA_TYPE`, 415) where nobody reads it.
    pub fn format(&self, content_type: &[u8]) -> Result<BodyFormat, Fault> {
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii();
        let is = |known: &str| essence.eq_ignore_ascii_case(known.as_bytes());
        if is(JSON) {
            return Ok(BodyFormat::Json);
        }
        if let Some(added) = self.added.iter().find(|added| is(&added.0.content_type)) {
            return Ok(BodyFormat::Added(added.clone()));
        }
        match essence {
            _ if is(FORM) => Ok(BodyFormat::Form),
            _ if is(MULTIPART) => multipart(content_type),
            essence if has_json_suffix(essence) => Ok(BodyFormat::Json),
            _ => Err(self.unknown()),
        }
    }

    /// As [`format`](Self::format), where the fault is left to binding.
    #[must_use]
    pub fn format_or_unknown(&self, content_type: &[u8]) -> BodyFormat {
        let format = self.format(content_type);
        format.unwrap_or_else(|fault| {
            let message = fault.message().into();
            BodyFormat::Unknown(UnknownFormat { reason: UNSUPPORTED, message })
        })
    }

    fn unknown(&self) -> Fault {
        let added = self.added.iter().map(|format| &*format.0.content_type);
        let known: Vec<_> = [JSON, FORM, MULTIPART].into_iter().chain(added).collect();
        unsupported(format!("send the body as {}", known.join(", ")))
    }
}

/// The longest boundary that RFC 2046 allows, in bytes.
const LONGEST_BOUNDARY: usize = 70;

fn multipart(content_type: &[u8]) -> Result<BodyFormat, Fault> {
    let text = std::str::from_utf8(content_type).ok();
    let boundary = text.and_then(|text| multer::parse_boundary(text).ok());
    match boundary {
        Some(boundary) if (1..=LONGEST_BOUNDARY).contains(&boundary.len()) => {
            Ok(BodyFormat::Multipart { boundary: boundary.into() })
        }
        _ => Err(unsupported("multipart/form-data needs a boundary of 1 to 70 characters")),
    }
}

/// Structured syntax suffix `+json` (RFC 6839).
fn has_json_suffix(essence: &[u8]) -> bool {
    let start = essence.len().saturating_sub(5);
    essence[start..].eq_ignore_ascii_case(b"+json") && essence.contains(&b'/')
}

/// The reason of a body of a content type that nobody reads.
const UNSUPPORTED: &str = "UNSUPPORTED_MEDIA_TYPE";

fn unsupported(message: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::invalid_argument(UNSUPPORTED, message).with_status(415)
}

fn taken(what: &str) -> Error {
    Error::wiring(format!("bodies of {what} are read by something else already"))
        .advise("add one codec for each content type; JSON, form and multipart are built in")
}
