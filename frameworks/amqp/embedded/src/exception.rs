//! Reply codes and exceptions of AMQP 0-9-1 (section 1.2 of the specification's reference).

use std::fmt;

use amq_protocol::types::ShortString;

/// Why the broker closes a channel or a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplyCode {
    NoRoute,
    ConnectionForced,
    AccessRefused,
    NotFound,
    ResourceLocked,
    PreconditionFailed,
    FrameError,
    SyntaxError,
    CommandInvalid,
    ChannelError,
    UnexpectedFrame,
    NotAllowed,
    NotImplemented,
}

impl ReplyCode {
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::NoRoute => 312,
            Self::ConnectionForced => 320,
            Self::AccessRefused => 403,
            Self::NotFound => 404,
            Self::ResourceLocked => 405,
            Self::PreconditionFailed => 406,
            Self::FrameError => 501,
            Self::SyntaxError => 502,
            Self::CommandInvalid => 503,
            Self::ChannelError => 504,
            Self::UnexpectedFrame => 505,
            Self::NotAllowed => 530,
            Self::NotImplemented => 540,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::NoRoute => "NO_ROUTE",
            Self::ConnectionForced => "CONNECTION_FORCED",
            Self::AccessRefused => "ACCESS_REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::ResourceLocked => "RESOURCE_LOCKED",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::FrameError => "FRAME_ERROR",
            Self::SyntaxError => "SYNTAX_ERROR",
            Self::CommandInvalid => "COMMAND_INVALID",
            Self::ChannelError => "CHANNEL_ERROR",
            Self::UnexpectedFrame => "UNEXPECTED_FRAME",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
        }
    }

    /// Whether the specification lists the code as a hard error, which ends the connection; a
    /// soft one ends the channel only.
    pub(crate) const fn is_hard(self) -> bool {
        !matches!(
            self,
            Self::NoRoute
                | Self::AccessRefused
                | Self::NotFound
                | Self::ResourceLocked
                | Self::PreconditionFailed
        )
    }

    /// An exception with this code.
    pub(crate) fn because(self, text: impl Into<String>) -> Exception {
        Exception { code: self, text: text.into() }
    }
}

/// A channel or connection exception, by its code's class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) code: ReplyCode,
    text: String,
}

impl Exception {
    /// The reply text, cut to what a short string holds.
    pub(crate) fn reply_text(&self) -> ShortString {
        shorten(&self.to_string())
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - {}", self.code.name(), self.text)
    }
}

/// `text` as a short string, cut at the last whole character within 255 bytes.
pub(crate) fn shorten(text: &str) -> ShortString {
    let cut = text.floor_char_boundary(amq_protocol::types::MAX_SHORT_STRING_LENGTH);
    ShortString::try_new(&text[..cut]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reply_text_is_cut_at_a_character() {
        let text = ReplyCode::NotFound.because("ü".repeat(200)).reply_text();
        assert!(text.as_str().starts_with("NOT_FOUND - ü"));
        assert_eq!(text.as_str().len(), 254);
    }
}
