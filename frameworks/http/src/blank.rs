//! What answers begin with.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use polyport_listener::ResponseBody;

use crate::head::X_REQUEST_ID;

/// The headers that are the same on all answers, put together at start: a copy of them costs less
/// than adding one by one. They have the place of the request's id, which every answer gets.
#[derive(Debug, Default)]
pub(crate) struct Blank {
    said: HeaderMap,
    plain: HeaderMap,
    json: HeaderMap,
}

impl Blank {
    /// Answers that say this, unless their operation says otherwise.
    pub(crate) fn saying(said: HeaderMap) -> Self {
        let mut plain = said.clone();
        plain.insert(X_REQUEST_ID, HeaderValue::from_static("-"));
        let mut json = plain.clone();
        json.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { said, plain, json }
    }

    /// An answer without a body.
    pub(crate) fn answer(&self, status: StatusCode) -> Response<ResponseBody> {
        begun(status, &self.plain)
    }

    /// An answer whose body is going to be JSON.
    pub(crate) fn json(&self, status: StatusCode) -> Response<ResponseBody> {
        begun(status, &self.json)
    }

    /// Adds what an answer does not say that was not begun here.
    pub(crate) fn complete(&self, answer: &mut HeaderMap) {
        for (name, value) in &self.said {
            answer.entry(name).or_insert_with(|| value.clone());
        }
    }
}

fn begun(status: StatusCode, headers: &HeaderMap) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    *response.headers_mut() = headers.clone();
    response
}
