//! Answers the requests of the listener.

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
};
use polyport_listener::{Handler, RequestBody, ResponseBody};
use serde::Serialize;

use crate::{AdminSettings, answers::Sources};

pub(crate) struct AdminHandler {
    pub(crate) settings: AdminSettings,
    pub(crate) sources: Sources,
}

impl Handler for AdminHandler {
    async fn handle(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let (status, json) = match *request.method() {
            Method::GET | Method::HEAD => self.answer(request.uri().path()),
            _ => json(StatusCode::METHOD_NOT_ALLOWED, &Refusal { error: "only GET and HEAD" }),
        };
        response(status, json, request.method() == Method::HEAD)
    }
}

#[derive(Serialize)]
struct Refusal {
    error: &'static str,
}

#[derive(Serialize)]
struct Paths<'a> {
    paths: Vec<&'a str>,
}

type Answer = (StatusCode, Vec<u8>);

impl AdminHandler {
    fn answer(&self, path: &str) -> Answer {
        let AdminSettings { live, ready, started, config, .. } = &self.settings;
        let Sources { health, lifecycle, .. } = &self.sources;
        match path {
            "/" => json(StatusCode::OK, &self.paths()),
            "/status" => json(StatusCode::OK, &self.sources.status()),
            "/timeline" => json(StatusCode::OK, &lifecycle.timeline().entries()),
            "/config" if *config => json(StatusCode::OK, &self.sources.config.snapshot()),
            path if path == live => json(StatusCode::OK, &health.liveness()),
            path if path == ready => {
                let readiness = health.readiness();
                json(available(readiness.ready), &readiness)
            }
            path if path == started => {
                let startup = health.startup();
                json(available(startup.started), &startup)
            }
            _ => json(StatusCode::NOT_FOUND, &self.paths()),
        }
    }

    fn paths(&self) -> Paths<'_> {
        let AdminSettings { live, ready, started, config, .. } = &self.settings;
        let mut paths = vec![live.as_str(), ready, started, "/status", "/timeline"];
        paths.extend(config.then_some("/config"));
        Paths { paths }
    }
}

fn available(is: bool) -> StatusCode {
    if is { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(json) => (status, json),
        Err(error) => {
            tracing::error!(%error, "an answer of the admin port cannot be written as JSON");
            (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
        }
    }
}

fn response(status: StatusCode, json: Vec<u8>, is_head: bool) -> Response<ResponseBody> {
    let length = json.len();
    let body = if is_head { ResponseBody::empty() } else { ResponseBody::from(json) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
