//! Files that clients send.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use std::{path::PathBuf, sync::Arc};

use polyport_bootstrap::{
    Fault,
    operation::{Endpoint, OperationExt, Protocol},
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{
    BodyLimit, HttpRoutes, Upload, UploadSettings,
    testing::{HttpReply, HttpTest},
};
use serde_json::{Value, json};
use support::{Folder, Raw, bootstrap, within};
use tokio::sync::Notify;

const FORM: &str = "multipart/form-data; boundary=cut";

/// One part of a form.
fn part(head: &str, body: &str) -> String {
    format!("--cut\r\ncontent-disposition: form-data; {head}\r\n\r\n{body}\r\n")
}

fn form(parts: &[String]) -> String {
    format!("{}--cut--\r\n", parts.concat())
}

fn file(name: &str, body: &str) -> String {
    part(&format!("name=\"file\"; filename=\"{name}\"\r\ncontent-type: image/png"), body)
}

async fn describe(upload: Upload) -> Result<Value, Fault> {
    let texts: Vec<_> = upload.texts().collect();
    let files = upload.files().iter().map(|file| {
        let bytes = std::fs::read(file.path()).expect("it is there");
        json!({
            "field": file.field(), "name": file.name(), "type": file.content_type(),
            "length": file.length(), "text": String::from_utf8_lossy(&bytes),
        })
    });
    Ok(json!({ "texts": texts, "files": files.collect::<Vec<_>>() }))
}

fn routes(r: HttpRoutes) -> HttpRoutes {
    let pictures = UploadSettings {
        file_limit: 8,
        content_types: vec!["image/*".to_owned()],
        extensions: vec!["png".to_owned()],
        ..UploadSettings::default()
    };
    r.post("/upload", describe)
        .post("/large", describe.attr(BodyLimit(4 * 1024 * 1024)))
        .post("/picture", describe.attr(pictures))
}

async fn app(folder: &Folder) -> TestApp {
    let app = create_bootstrap(bootstrap(routes))
        .config("http.uploads.directory", json!(folder.path()))
        .config("http.uploads.file_limit", 2 * 1024 * 1024)
        .config("http.uploads.text_limit", 10)
        .config("http.uploads.max_parts", 3);
    app.await.expect("it starts")
}

async fn send(app: &TestApp, path: &str, form: String) -> HttpReply {
    app.http().post(path).body(FORM, form).await
}

#[tokio::test]
async fn a_form_is_read_and_its_files_are_gone_afterwards() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        let parts =
            [part("name=\"title\"", "a title"), file("../../a b.png", "PNG\r\n--cu"), file("", "")];
        let reply = send(&app, "/upload", form(&parts)).await;
        assert_eq!(
            reply.json::<Value>(),
            json!({
                "texts": [["title", "a title"]],
                "files": [
                    { "field": "file", "name": "a b.png", "type": "image/png", "length": 9,
                      "text": "PNG\r\n--cu" },
                    { "field": "file", "name": null, "type": "image/png", "length": 0, "text": "" },
                ],
            })
        );
        assert_eq!(folder.names(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn what_is_beyond_a_limit_is_refused_and_leaves_nothing() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        let large = "x".repeat(3 * 1024 * 1024);
        for (path, parts, status, reason) in [
            ("/picture", vec![file("a.png", "123456789")], 413, "FILE_TOO_LARGE"),
            ("/large", vec![file("a.png", &large)], 413, "FILE_TOO_LARGE"),
            ("/upload", vec![file("a.png", &large)], 413, "BODY_TOO_LARGE"),
            ("/upload", vec![part("name=\"t\"", "12345678901")], 413, "TEXT_TOO_LONG"),
            ("/upload", vec![file("a", "1"); 4], 413, "TOO_MANY_PARTS"),
            ("/picture", vec![file("a.exe", "1")], 415, "FILE_TYPE_REFUSED"),
            (
                "/picture",
                vec![part("name=\"f\"; filename=\"a.png\"\r\ncontent-type: text/html", "1")],
                415,
                "FILE_TYPE_REFUSED",
            ),
            ("/upload", vec![file("a", "1"), part("x=\"y\"", "1")], 400, "INVALID_INPUT"),
            (
                "/upload",
                vec![file("a", "1"), part(&format!("name=\"{}\"", "n".repeat(200_000)), "1")],
                400,
                "INVALID_INPUT",
            ),
        ] {
            let reply = send(&app, path, form(&parts)).await;
            assert_eq!(reply.status(), status, "{path} {reason}: {reply:?}");
            assert_eq!(reply.json::<Value>()["reason"], reason);
            assert_eq!(folder.names(), Vec::<String>::new(), "{reason}");
        }
        let fits = "x".repeat(2 * 1024 * 1024);
        let reply = send(&app, "/large", form(&[file("a.png", &fits)])).await;
        assert_eq!(reply.json::<Value>()["files"][0]["length"], 2 * 1024 * 1024);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        for (content_type, body, status) in [
            ("application/json", "{}".to_owned(), 415),
            ("multipart/form-data", form(&[]), 415),
            ("text/plain", "a".to_owned(), 415),
            (FORM, file("a", "1"), 400),
            (FORM, String::new(), 400),
            (FORM, "x".repeat(100_000), 400),
        ] {
            let reply = app.http().post("/upload").body(content_type, body).await;
            assert_eq!(reply.status(), status, "{content_type}: {reply:?}");
            assert_eq!(folder.names(), Vec::<String>::new());
        }
        assert_eq!(app.http().post("/upload").await.status(), 415);
    })
    .await;
}

/// Waits until the folder has as many files.
async fn has(folder: &Folder, count: usize) {
    while folder.names().len() != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_leaves_no_file() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        let mut raw = Raw::connect(&app).await;
        let head = format!("POST /upload HTTP/1.1\r\nhost: a\r\ncontent-type: {FORM}\r\n");
        raw.send(format!("{head}content-length: 10000\r\n\r\n{}", file("a", "begun"))).await;
        has(&folder, 1).await;
        drop(raw);
        has(&folder, 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_cut_off_leaves_no_file() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        let mut raw = Raw::connect(&app).await;
        raw.send(format!(
            "POST /upload HTTP/1.1\r\nhost: a\r\nx-request-timeout-ms: 50\r\ncontent-type: {FORM}\r\n\
             content-length: 10000\r\n\r\n{}",
            file("a", "begun"),
        ))
        .await;
        has(&folder, 1).await;
        let status = raw.reply().await.status();
        assert!([408, 504].contains(&status), "{status}");
        has(&folder, 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_file_is_there_while_the_call_runs_and_stays_where_it_is_persisted() {
    within(async {
        let (folder, kept) = (Folder::new(), Folder::new());
        let (held, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (to, is_held, goes) =
            (kept.path().join("kept.png"), Arc::clone(&held), Arc::clone(&go));
        let routes = move |r: HttpRoutes| {
            let (to, held, go): (PathBuf, _, _) =
                (to.clone(), Arc::clone(&is_held), Arc::clone(&goes));
            r.post("/keep", async move |mut upload: Upload| {
                held.notify_one();
                go.notified().await;
                let file = upload.take("file").ok_or_else(|| Fault::not_found("NONE", "none"))?;
                file.persist(&to).await
            })
        };
        let app = create_bootstrap(bootstrap(routes))
            .config("http.uploads.directory", json!(folder.path().join("made")))
            .await
            .expect("it starts");
        let parts = [file("a", "kept"), file("b", "dropped")];
        let (reply, ()) = tokio::join!(send(&app, "/keep", form(&parts)), async {
            held.notified().await;
            assert_eq!(
                std::fs::read_dir(folder.path().join("made")).expect("it is made").count(),
                2
            );
            go.notify_one();
        });
        assert_eq!(reply.status(), 204, "{reply:?}");
        assert_eq!(std::fs::read_to_string(kept.path().join("kept.png")).expect("kept"), "kept");
        assert_eq!(std::fs::read_dir(folder.path().join("made")).expect("it is made").count(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_attribute_limits_any_body() {
    within(async {
        let routes = |r: HttpRoutes| r.post("/small", support::post.attr(BodyLimit(10)));
        let app = create_bootstrap(bootstrap(routes)).await.expect("it starts");
        let reply = app.http().post("/small").json(&json!({ "room": "a", "from": "tom" })).await;
        assert_eq!(reply.json::<Value>()["reason"], "BODY_TOO_LARGE");
    })
    .await;
}

#[test]
fn uploads_exist_on_http_only() {
    let refusal = Endpoint::json(describe).info().refusal_on(Protocol::new("amqp"));
    assert!(refusal.expect("HTTP only").contains("http only"));
}
