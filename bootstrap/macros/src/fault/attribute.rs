//! `#[fault(not_found, "USER_NOT_FOUND", message = "…")]`.

use proc_macro2::{Ident, Span};
use syn::{
    Attribute, Error, LitInt, LitStr, Path, Result, Token,
    ext::IdentExt as _,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};

use super::message::Message;

/// The words, and the kinds of fault that they are.
const KINDS: [(&str, &str); 12] = [
    ("invalid_argument", "InvalidArgument"),
    ("unauthenticated", "Unauthenticated"),
    ("permission_denied", "PermissionDenied"),
    ("not_found", "NotFound"),
    ("already_exists", "AlreadyExists"),
    ("failed_precondition", "FailedPrecondition"),
    ("resource_exhausted", "ResourceExhausted"),
    ("cancelled", "Cancelled"),
    ("internal", "Internal"),
    ("unimplemented", "Unimplemented"),
    ("unavailable", "Unavailable"),
    ("deadline_exceeded", "DeadlineExceeded"),
];

/// The longest reason that gRPC's `ErrorInfo` takes.
const LONGEST_REASON: usize = 63;

const TRANSPARENT: &str = "transparent";

/// What the attributes of a variant or struct say.
#[derive(Default)]
pub(super) struct Said {
    pub(super) kind: Option<Kind>,
    pub(super) transparent: Option<Ident>,
    pub(super) reason: Option<LitStr>,
    pub(super) code: Option<LitStr>,
    pub(super) status: Option<LitInt>,
    pub(super) message: Option<Message>,
    pub(super) polyport: Option<Path>,
}

/// A kind of fault.
pub(super) struct Kind {
    word: Ident,
    pub(super) variant: Ident,
}

impl Kind {
    pub(super) fn is_internal(&self) -> bool {
        self.word == "internal"
    }
}

impl Said {
    /// What all `#[fault(…)]` among the attributes say together.
    pub(super) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut said = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("fault")) {
            let parts = attribute.parse_args_with(Punctuated::<Part, Token![,]>::parse_terminated);
            for part in parts? {
                said.add(part)?;
            }
        }
        said.check()?;
        Ok(said)
    }

    /// Whether they say anything that only a variant or a struct can.
    pub(super) fn of_fault(&self) -> Option<Span> {
        let kind = self.kind.as_ref().map(|kind| kind.word.span());
        let texts = [&self.reason, &self.code].into_iter().flatten().map(LitStr::span);
        let message = self.message.as_ref().map(|message| message.literal.span());
        let status = self.status.as_ref().map(LitInt::span);
        let transparent = self.transparent.as_ref().map(Ident::span);
        kind.or(transparent).or(status).or(message).or(texts.into_iter().next())
    }

    fn add(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Kind(kind) => {
                let span = kind.word.span();
                once(&mut self.kind, kind, span, "a fault has one kind")
            }
            Part::Transparent(word) => {
                let span = word.span();
                once(&mut self.transparent, word, span, "say it once")
            }
            Part::Reason(text) => {
                let span = text.span();
                once(&mut self.reason, checked_reason(text)?, span, "a fault has one reason")
            }
            Part::Code(text) => {
                let span = text.span();
                once(&mut self.code, text, span, "a fault has one code")
            }
            Part::Status(number) => {
                let span = number.span();
                once(&mut self.status, number, span, "a fault has one status")
            }
            Part::Message(message) => {
                let span = message.literal.span();
                once(&mut self.message, message, span, "a fault has one message")
            }
            Part::Crate(path) => {
                self.polyport = Some(path);
                Ok(())
            }
        }
    }

    fn check(&self) -> Result<()> {
        if let (Some(word), Some(_)) = (&self.transparent, self.said_besides()) {
            let message = "a transparent fault is the one inside: it says nothing of its own";
            return Err(Error::new(word.span(), message));
        }
        match &self.status {
            Some(status) if !matches!(status.base10_parse::<u16>(), Ok(400..600)) => {
                Err(Error::new(status.span(), "the HTTP status of a fault is 4xx or 5xx"))
            }
            _ => Ok(()),
        }
    }

    fn said_besides(&self) -> Option<()> {
        let has_text = [&self.reason, &self.code].into_iter().any(Option::is_some);
        let has_more = self.kind.is_some() || self.status.is_some() || self.message.is_some();
        (has_text || has_more).then_some(())
    }
}

fn once<T>(place: &mut Option<T>, value: T, span: Span, fault: &str) -> Result<()> {
    match place.replace(value) {
        Some(_) => Err(Error::new(span, fault)),
        None => Ok(()),
    }
}

/// `google.rpc.ErrorInfo` wants `[A-Z][A-Z0-9_]+[A-Z0-9]`.
fn checked_reason(reason: LitStr) -> Result<LitStr> {
    let text = reason.value();
    let is_further = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_reason = text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(is_further)
        && text.len() <= LONGEST_REASON;
    match is_reason {
        true => Ok(reason),
        false => Err(Error::new(
            reason.span(),
            "a reason is a word for machines: `A` to `Z`, digits and `_`, at most 63 of them",
        )),
    }
}

enum Part {
    Kind(Kind),
    Transparent(Ident),
    Reason(LitStr),
    Code(LitStr),
    Status(LitInt),
    Message(Message),
    Crate(Path),
}

impl Parse for Part {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(LitStr) {
            return Ok(Self::Reason(input.parse()?));
        }
        let word = input.call(Ident::parse_any)?;
        if !input.peek(Token![=]) {
            return Self::of_word(word);
        }
        input.parse::<Token![=]>()?;
        match word.to_string().as_str() {
            "code" => Ok(Self::Code(input.parse()?)),
            "status" => Ok(Self::Status(input.parse()?)),
            "message" => Ok(Self::Message(Message::parse(input.parse()?)?)),
            "crate" => Ok(Self::Crate(Path::parse_mod_style(input)?)),
            _ => Err(Error::new(
                word.span(),
                "what a fault has is `code = \"…\"`, `status = 410` and `message = \"…\"`",
            )),
        }
    }
}

impl Part {
    fn of_word(word: Ident) -> Result<Self> {
        if word == TRANSPARENT {
            return Ok(Self::Transparent(word));
        }
        let kind = KINDS.into_iter().find(|(name, _)| word == name);
        let Some((_, variant)) = kind else {
            return Err(Error::new(word.span(), format!("no kind of fault: {}", kinds())));
        };
        let variant = Ident::new(variant, word.span());
        Ok(Self::Kind(Kind { word, variant }))
    }
}

/// What may stand there.
pub(super) fn kinds() -> String {
    let words: Vec<String> = KINDS.into_iter().map(|(word, _)| format!("`{word}`")).collect();
    format!("write one of {}, or `{TRANSPARENT}`", words.join(", "))
}
