use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::FaultKind;

/// A fault as a caller may see it.
#[derive(Debug, Clone, Copy)]
pub struct FaultView<'a> {
    /// The kind.
    pub kind: FaultKind,
    /// The HTTP status: the kind's, or another of the same family (405, 413, 415 …).
    pub status: u16,
    /// A stable word for machines: `"USER_NOT_FOUND"`.
    pub reason: &'a str,
    /// A business code, where the application has one.
    pub code: Option<&'a str>,
    /// A sentence for people.
    pub message: &'a str,
    /// What else is known: the faulty fields, say.
    pub details: Option<&'a serde_json::Value>,
    /// The id of the call that failed.
    pub request_id: &'a str,
}

/// The `returnCode` of an answer that is no fault.
pub(crate) const SUCCESS: &str = "SUC00000";
/// The `code` of a fault that has none of its own.
pub(crate) const GENERAL_FAULT: i64 = 10_000;

/// What stands around an answer on the JSON protocols (HTTP, WebSocket, AMQP).
///
/// An envelope appends to a buffer: the value is serialised straight to its place, and whatever
/// stood in the buffer before stays.
pub trait Envelope: fmt::Debug + Send + Sync + 'static {
    /// Appends an answer; `value` appends the value itself as JSON.
    ///
    /// # Errors
    /// Returns what `value` returns; the buffer then holds half an answer and is to be discarded.
    fn write_value(
        &self,
        out: &mut Vec<u8>,
        request_id: &str,
        value: &mut dyn FnMut(&mut Vec<u8>) -> serde_json::Result<()>,
    ) -> serde_json::Result<()>;

    /// Appends a fault.
    fn write_fault(&self, out: &mut Vec<u8>, fault: &FaultView<'_>);

    /// The content type of a fault.
    fn fault_content_type(&self) -> &'static str {
        "application/json"
    }
}

/// The envelopes that ship with polyport, by the name that configuration knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EnvelopeStyle {
    /// The bare value; RFC 9457 problem details on a fault.
    #[default]
    Plain,
    /// `{"returnCode":"SUC00000","data":…}`.
    ReturnCode,
    /// `{"code":0,"message":"","data":…,"request_id":…}`.
    CodeMessageData,
}

impl EnvelopeStyle {
    /// The envelope of this name.
    #[must_use]
    pub fn envelope(self) -> Arc<dyn Envelope> {
        match self {
            Self::Plain => Arc::new(Plain),
            Self::ReturnCode => Arc::new(ReturnCode),
            Self::CodeMessageData => Arc::new(CodeMessageData),
        }
    }
}

/// The bare value; on a fault RFC 9457 problem details (`application/problem+json`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

/// `{"returnCode":"SUC00000","data":…}`, and on a fault
/// `{"returnCode":"ERR40400","errorMessage":…}`: the fault's own code (other than the code of
/// success), or `ERR`, the HTTP status and `00`.
///
/// It has no place for a fault's reason, details and request id.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReturnCode;

/// `{"code":0,"message":"","data":…,"request_id":…}`; a fault's code is its own, or 10000, and its
/// details are the data. A code that is a number other than 0 is written as one.
///
/// It has no place for a fault's kind, status and reason.
#[derive(Debug, Clone, Copy, Default)]
pub struct CodeMessageData;

impl Envelope for Plain {
    fn write_value(
        &self,
        out: &mut Vec<u8>,
        _request_id: &str,
        value: &mut dyn FnMut(&mut Vec<u8>) -> serde_json::Result<()>,
    ) -> serde_json::Result<()> {
        value(out)
    }

    fn write_fault(&self, out: &mut Vec<u8>, fault: &FaultView<'_>) {
        #[derive(Serialize)]
        struct Problem<'a> {
            title: &'a str,
            status: u16,
            detail: &'a str,
            reason: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            details: Option<&'a serde_json::Value>,
            request_id: &'a str,
        }
        append(
            out,
            &Problem {
                title: fault.kind.as_str(),
                status: fault.status,
                detail: fault.message,
                reason: fault.reason,
                code: fault.code,
                details: fault.details,
                request_id: fault.request_id,
            },
        );
    }

    fn fault_content_type(&self) -> &'static str {
        "application/problem+json"
    }
}

impl Envelope for ReturnCode {
    fn write_value(
        &self,
        out: &mut Vec<u8>,
        _request_id: &str,
        value: &mut dyn FnMut(&mut Vec<u8>) -> serde_json::Result<()>,
    ) -> serde_json::Result<()> {
        out.extend_from_slice(br#"{"returnCode":"SUC00000","data":"#);
        value(out)?;
        out.push(b'}');
        Ok(())
    }

    fn write_fault(&self, out: &mut Vec<u8>, fault: &FaultView<'_>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            return_code: &'a str,
            error_message: &'a str,
        }
        let derived;
        let return_code = match fault.code {
            Some(code) if code != SUCCESS => code,
            _ => {
                derived = derived_code(fault.status);
                &derived
            }
        };
        append(out, &Body { return_code, error_message: fault.message });
    }
}

impl Envelope for CodeMessageData {
    fn write_value(
        &self,
        out: &mut Vec<u8>,
        request_id: &str,
        value: &mut dyn FnMut(&mut Vec<u8>) -> serde_json::Result<()>,
    ) -> serde_json::Result<()> {
        out.extend_from_slice(br#"{"code":0,"message":"","data":"#);
        value(out)?;
        out.extend_from_slice(br#","request_id":"#);
        append(out, request_id);
        out.push(b'}');
        Ok(())
    }

    fn write_fault(&self, out: &mut Vec<u8>, fault: &FaultView<'_>) {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Code<'a> {
            Number(i64),
            Text(&'a str),
        }
        #[derive(Serialize)]
        struct Body<'a> {
            code: Code<'a>,
            message: &'a str,
            data: Option<&'a serde_json::Value>,
            request_id: &'a str,
        }
        let code = match fault.code {
            None => Code::Number(GENERAL_FAULT),
            Some(code) => number(code).map_or(Code::Text(code), Code::Number),
        };
        append(
            out,
            &Body {
                code,
                message: fault.message,
                data: fault.details,
                request_id: fault.request_id,
            },
        );
    }
}

/// The `returnCode` of a fault that has no code of its own.
pub(crate) fn derived_code(status: u16) -> String {
    format!("ERR{status}00")
}

/// The number that this code is read back from; 0 would say that all is well.
fn number(code: &str) -> Option<i64> {
    let number: i64 = code.parse().ok()?;
    (number != 0 && number.to_string() == code).then_some(number)
}

/// Writing strings, numbers and `serde_json::Value`s to memory cannot fail.
fn append(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests;
