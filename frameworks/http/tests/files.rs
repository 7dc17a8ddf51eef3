//! Files, parts of them, and redirects.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use http::StatusCode;
use polyport_bootstrap::{
    Fault,
    operation::{Endpoint, File, Input, Protocol},
    testing::create_bootstrap,
};
use polyport_http::{HttpRequest, HttpRoutes, Redirect, testing::HttpTest};
use serde::Deserialize;
use serde_json::Value;
use support::{Raw, bootstrap, serve, within};

/// A text of which everybody knows the bytes.
const TEXT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

#[derive(Deserialize, garde::Validate)]
#[garde(allow_unvalidated)]
struct Named {
    path: String,
}

async fn text() -> Result<File, Fault> {
    File::open(TEXT).await
}

async fn named(Input(named): Input<Named>) -> Result<File, Fault> {
    File::open_in(env!("CARGO_MANIFEST_DIR"), &named.path).await
}

async fn download() -> Result<File, Fault> {
    Ok(File::open(TEXT).await?.content_type("text/plain").download_as("a b.txt"))
}

fn routes(r: HttpRoutes) -> HttpRoutes {
    r.get("/text", text).get("/files/{*path}", named).get("/download", download)
}

#[tokio::test]
async fn a_file_is_sent_with_what_it_is_known_by() {
    within(async {
        let app = serve(routes).await;
        let whole = std::fs::read_to_string(TEXT).expect("readable");
        let reply = app.http().get("/text").await;
        assert_eq!((reply.status().as_u16(), reply.text()), (200, whole.as_str()));
        assert_eq!(reply.header("content-type"), Some("application/toml"));
        assert_eq!(reply.header("accept-ranges"), Some("bytes"));
        assert_eq!(reply.header("content-length"), Some(whole.len().to_string().as_str()));
        let etag = reply.header("etag").expect("an entity tag");
        let modified = reply.header("last-modified").expect("a date");

        let known = app.http().get("/text").header("if-none-match", etag).await;
        assert_eq!((known.status().as_u16(), known.header("etag")), (304, Some(etag)));
        assert_eq!(known.header("content-type"), None);
        let known = app.http().get("/text").header("if-modified-since", modified).await;
        assert_eq!(known.status(), 304);
        let other = app.http().get("/text").header("if-match", "\"another\"").await;
        assert_eq!(other.status(), 412);
        let head = app.http().head("/text").await;
        assert_eq!((head.header("etag"), head.text()), (Some(etag), ""));
        assert_eq!(head.header("content-length"), Some(whole.len().to_string().as_str()));
        let reply = app.http().get("/download").await;
        assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"a b.txt\""));
        assert_eq!(reply.header("content-type"), Some("text/plain"));
    })
    .await;
}

#[tokio::test]
async fn a_part_is_206_and_one_beyond_the_end_416() {
    within(async {
        let app = serve(routes).await;
        let whole = std::fs::read_to_string(TEXT).expect("readable");
        let length = whole.len();
        let part = async |range: &str| app.http().get("/text").header("range", range).await;
        let reply = part("bytes=2-5").await;
        assert_eq!((reply.status().as_u16(), reply.text()), (206, &whole[2..6]));
        assert_eq!(reply.header("content-range"), Some(format!("bytes 2-5/{length}").as_str()));
        assert_eq!(reply.header("content-length"), Some("4"));
        assert_eq!(part("bytes=-3").await.text(), &whole[length - 3..]);
        assert_eq!(part(&format!("bytes={}-", length - 1)).await.text(), &whole[length - 1..]);
        let reply = part(&format!("bytes={length}-")).await;
        assert_eq!(reply.status(), 416);
        assert_eq!(reply.header("content-range"), Some(format!("bytes */{length}").as_str()));
        assert_eq!(reply.json::<Value>()["reason"], "RANGE_NOT_SATISFIABLE");
        let reply = part("bytes=0-1,4-5").await;
        assert_eq!((reply.status().as_u16(), reply.text()), (200, whole.as_str()));
        let etag = reply.header("etag").expect("an entity tag").to_owned();
        let if_range = async |version: &str| {
            let request = app.http().get("/text").header("range", "bytes=0-0");
            request.header("if-range", version).await.status().as_u16()
        };
        assert_eq!((if_range(&etag).await, if_range("\"another\"").await), (206, 200));
    })
    .await;
}

#[tokio::test]
async fn no_path_leads_out_of_the_folder() {
    within(async {
        let app = serve(routes).await;
        assert_eq!(app.http().get("/files/src/lib.rs").await.status(), 200);
        for path in
            ["nothing", "src", "../http/Cargo.toml", "%2e%2e/http/Cargo.toml", "%00", "a%5cb"]
        {
            let reply = app.http().get(&format!("/files/{path}")).await;
            assert_eq!(reply.status(), 404, "{path}");
            assert_eq!(reply.json::<Value>()["reason"], "FILE_NOT_FOUND", "{path}");
        }
    })
    .await;
}

#[derive(Deserialize, garde::Validate)]
#[garde(allow_unvalidated)]
struct Next {
    next: String,
}

async fn login(Input(Next { next }): Input<Next>) -> Result<Redirect, Fault> {
    Ok(Redirect::see_other(next))
}

#[tokio::test]
async fn redirects_lead_to_paths_and_allowed_hosts_only() {
    within(async {
        let routes = |r: HttpRoutes| {
            r.get("/login", login)
                .get("/old", async || Ok::<_, Fault>(Redirect::permanent("/new?x=1")))
                .get("/out", async || Ok::<_, Fault>(Redirect::anywhere("https://else.example/")))
        };
        let hosts = serde_json::json!(["good.example", "*.sub.example"]);
        let app = create_bootstrap(bootstrap(routes)).config("http.redirect_hosts", hosts).await;
        let app = app.expect("it starts");
        let login = async |next: &str| {
            let reply = app.http().get(&format!("/login?next={next}")).await;
            (reply.status().as_u16(), reply.header("location").map(str::to_owned))
        };
        for (next, location) in [
            ("/home", "/home"),
            ("/a%20b", "/a%20b"),
            ("https://good.example/x", "https://good.example/x"),
            ("https://a.sub.example", "https://a.sub.example"),
        ] {
            assert_eq!(login(next).await, (303, Some(location.to_owned())), "{next}");
        }
        for next in [
            "//evil.example",
            "/%5cevil.example",
            "/%09/evil.example",
            "https://evil.example",
            "https://good.example@evil.example",
            "/x%0d%0aset-cookie:a=b",
            "javascript:alert(1)",
        ] {
            assert_eq!(login(next).await, (400, None), "{next}");
        }
        let reply = app.http().get("/old").await;
        assert_eq!(
            (reply.status(), reply.header("location")),
            (StatusCode::PERMANENT_REDIRECT, Some("/new?x=1"))
        );
        assert_eq!(app.http().get("/out").await.header("location"), Some("https://else.example/"));
    })
    .await;
}

#[test]
fn what_exists_on_http_only_says_so() {
    async fn whoami(request: HttpRequest) -> Result<String, Fault> {
        Ok(request.uri().to_string())
    }
    let amqp = Protocol::new("amqp");
    for endpoint in [Endpoint::json(whoami), Endpoint::json(login)] {
        let refusal = endpoint.info().refusal_on(amqp).expect("HTTP only");
        assert!(refusal.contains("http only"), "{refusal}");
        assert_eq!(endpoint.info().refusal_on(polyport_http::PROTOCOL), None);
    }
}

#[tokio::test]
async fn a_file_leaves_the_connection_fit_for_more() {
    within(async {
        let app = serve(routes).await;
        let mut raw = Raw::connect(&app).await;
        for _ in 0..2 {
            raw.send("GET /text HTTP/1.1\r\nhost: a\r\nrange: bytes=0-8\r\n\r\n").await;
            assert_eq!(raw.reply().await.body, "[package]");
        }
    })
    .await;
}
