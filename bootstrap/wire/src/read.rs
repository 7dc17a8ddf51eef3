use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};

use crate::{
    EnvelopeStyle, FaultKind, ReceivedFault,
    envelope::{GENERAL_FAULT, SUCCESS, derived_code},
};

/// How much of an answer that is in no envelope is kept as a fault's message, in bytes.
const LONGEST_QUOTE: usize = 512;

/// The client's side of an envelope.
///
/// What comes back of a fault:
///
/// | style | kind and status | reason | code | message | details | request id |
/// |---|---|---|---|---|---|---|
/// | `plain` | yes | yes | yes | yes | yes | yes |
/// | `return-code` | the status that the protocol says, or that a code `ERR40400` names | – | yes | yes | – | – |
/// | `code-message-data` | the status that the protocol says | – | yes, other than 10000 | yes | yes | yes |
///
/// A missing reason is the kind's name, and a kind that nothing says is internal.
impl EnvelopeStyle {
    /// The envelope that a fault is in, as its body has it: `returnCode`, `code` with `message`, or
    /// neither.
    ///
    /// # Examples
    /// ```
    /// use polyport_wire::EnvelopeStyle;
    ///
    /// let body = br#"{"returnCode":"ERR40400","errorMessage":"no such user"}"#;
    /// assert_eq!(EnvelopeStyle::of_fault(body), EnvelopeStyle::ReturnCode);
    /// ```
    #[must_use]
    pub fn of_fault(body: &[u8]) -> Self {
        if serde_json::from_slice::<ReturnCodeAnswer<'_>>(body).is_ok() {
            return Self::ReturnCode;
        }
        match serde_json::from_slice::<CodeAnswer<'_>>(body) {
            Ok(CodeAnswer { message: Some(_), .. }) => Self::CodeMessageData,
            _ => Self::Plain,
        }
    }

    /// The envelope that an answer is in, a value or a fault with a code, where nobody has said so:
    /// one with codes where the body has all its fields and no other, and else [`Plain`](Self::Plain).
    ///
    /// # Examples
    /// ```
    /// use polyport_wire::EnvelopeStyle;
    ///
    /// let style = |body: &str| EnvelopeStyle::of_answer(body.as_bytes());
    /// assert_eq!(style(r#"{"returnCode":"SUC00000","data":7}"#), EnvelopeStyle::ReturnCode);
    /// assert_eq!(style(r#"{"code":0,"message":"hi"}"#), EnvelopeStyle::Plain);
    /// ```
    #[must_use]
    pub fn of_answer(body: &[u8]) -> Self {
        if serde_json::from_slice::<OnlyReturnCode>(body).is_ok() {
            return Self::ReturnCode;
        }
        match serde_json::from_slice::<OnlyCode>(body) {
            Ok(_) => Self::CodeMessageData,
            Err(_) => Self::Plain,
        }
    }

    /// The value of an answer as it was sent, or the fault that it is. `status` is the HTTP status, where the
    /// protocol has one: from 400 on the answer is a fault. The envelopes with codes say by
    /// themselves what is a fault, whatever the status.
    ///
    /// # Errors
    /// Returns the fault. An answer that is not in the envelope is one too, of kind
    /// [`FaultKind::Internal`] and reason `MALFORMED_ANSWER`.
    pub fn read(self, body: &[u8], status: Option<u16>) -> Result<&RawValue, Box<ReceivedFault>> {
        match status {
            Some(400..) => Err(Box::new(self.read_fault(body, status))),
            _ => self.read_value(body),
        }
    }

    /// The fault that an answer is known to be: by the status, a WebSocket frame's event, or a
    /// reply's header. One that is not in the envelope (of a proxy in between, say) is of the
    /// status's kind, and its text is the message.
    #[must_use]
    pub fn read_fault(self, body: &[u8], status: Option<u16>) -> ReceivedFault {
        let read = match self {
            Self::Plain => problem(body, status),
            Self::ReturnCode => return_code(body, status),
            Self::CodeMessageData => code_message_data(body, status),
        };
        read.unwrap_or_else(|_| unknown(body, status))
    }

    fn read_value(self, body: &[u8]) -> Result<&RawValue, Box<ReceivedFault>> {
        let malformed = |error: serde_json::Error| Box::new(malformed(self, &error));
        match self {
            Self::Plain => serde_json::from_slice(body).map_err(malformed),
            Self::ReturnCode => {
                let answer: ReturnCodeAnswer<'_> =
                    serde_json::from_slice(body).map_err(malformed)?;
                match answer.return_code == SUCCESS {
                    true => Ok(answer.data.unwrap_or(RawValue::NULL)),
                    false => Err(Box::new(self.read_fault(body, None))),
                }
            }
            Self::CodeMessageData => {
                let answer: CodeAnswer<'_> = serde_json::from_slice(body).map_err(malformed)?;
                match answer.code == Code::Number(0) {
                    true => Ok(answer.data.unwrap_or(RawValue::NULL)),
                    false => Err(Box::new(self.read_fault(body, None))),
                }
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReturnCodeAnswer<'a> {
    return_code: String,
    #[serde(default)]
    error_message: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CodeAnswer<'a> {
    code: Code,
    #[serde(default)]
    message: Option<String>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    request_id: Option<String>,
}

/// What tells the envelope from a value that happens to have such fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only whether it can be read counts")]
struct OnlyReturnCode {
    return_code: String,
    #[serde(default)]
    error_message: IgnoredAny,
    #[serde(default)]
    data: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only whether it can be read counts")]
struct OnlyCode {
    code: Code,
    message: String,
    data: IgnoredAny,
    request_id: String,
}

#[derive(Deserialize, PartialEq)]
#[serde(untagged)]
enum Code {
    Number(i64),
    Text(String),
}

/// RFC 9457; `title` is the kind's name where the peer is one of ours.
fn problem(body: &[u8], status: Option<u16>) -> serde_json::Result<ReceivedFault> {
    #[derive(Deserialize)]
    struct Problem {
        title: Option<String>,
        status: Option<u16>,
        detail: Option<String>,
        reason: Option<String>,
        code: Option<String>,
        details: Option<Value>,
        request_id: Option<String>,
    }
    let problem: Problem = serde_json::from_slice(body)?;
    let title = problem.title.unwrap_or_default();
    let mut fault = of_status(problem.status.or(status));
    if let Some(kind) = FaultKind::from_name(&title) {
        let status = problem.status.or(status).unwrap_or_else(|| kind.http_status());
        fault = ReceivedFault::new(kind, status);
    }
    fault.reason = problem.reason.unwrap_or(fault.reason);
    fault.message = problem.detail.unwrap_or(title);
    fault.code = problem.code;
    fault.details = problem.details;
    fault.request_id = problem.request_id;
    Ok(fault)
}

fn return_code(body: &[u8], status: Option<u16>) -> serde_json::Result<ReceivedFault> {
    let answer: ReturnCodeAnswer<'_> = serde_json::from_slice(body)?;
    let derived = derived_status(&answer.return_code);
    let mut fault = of_status(status.or(derived));
    fault.message = answer.error_message;
    // One of another status than the answer's is the application's own.
    let is_derived = derived.is_some_and(|derived| derived == fault.status);
    fault.code = (!is_derived).then_some(answer.return_code);
    Ok(fault)
}

/// The 404 of `ERR40400`.
fn derived_status(code: &str) -> Option<u16> {
    let status = code.strip_prefix("ERR")?.strip_suffix("00")?.parse().ok()?;
    (derived_code(status) == code).then_some(status)
}

fn code_message_data(body: &[u8], status: Option<u16>) -> serde_json::Result<ReceivedFault> {
    let answer: CodeAnswer<'_> = serde_json::from_slice(body)?;
    let mut fault = of_status(status);
    fault.message = answer.message.unwrap_or_default();
    fault.code = match answer.code {
        Code::Number(GENERAL_FAULT) => None,
        Code::Number(number) => Some(number.to_string()),
        Code::Text(text) => Some(text),
    };
    fault.details = answer.data.map(|data| serde_json::from_str(data.get())).transpose()?;
    fault.request_id = answer.request_id.filter(|id| !id.is_empty());
    Ok(fault)
}

fn of_status(status: Option<u16>) -> ReceivedFault {
    let kind = status.map_or(FaultKind::Internal, FaultKind::from_http_status);
    ReceivedFault::new(kind, status.unwrap_or_else(|| kind.http_status()))
}

fn unknown(body: &[u8], status: Option<u16>) -> ReceivedFault {
    let text = String::from_utf8_lossy(&body[..body.len().min(LONGEST_QUOTE)]);
    ReceivedFault { message: text.trim().to_owned(), ..of_status(status) }
}

fn malformed(style: EnvelopeStyle, error: &serde_json::Error) -> ReceivedFault {
    ReceivedFault {
        reason: "MALFORMED_ANSWER".to_owned(),
        message: format!("the answer is not in the envelope {style:?}: {error}"),
        ..of_status(None)
    }
}

#[cfg(test)]
mod tests;
