//! Folders of files.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use polyport_bootstrap::{
    Context, Fault,
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{HttpRoutes, StaticFiles, testing::HttpTest};
use serde_json::Value;
use support::{Folder, Raw, bootstrap, hello, refused, serve, within};

fn folder() -> Folder {
    let folder = Folder::new();
    folder
        .write("site/index.html", "<h1>home</h1>")
        .write("site/app.css", "body { color: red }")
        .write("site/app.css.br", "as br")
        .write("site/app.css.gz", "as gzip")
        .write("site/docs/index.html", "docs")
        .write("site/empty/a b.txt", "a b")
        .write("site/.env", "SECRET=1")
        .write("site/.well-known/security.txt", "mail us")
        .write("secret.txt", "outside");
    folder
}

async fn app(
    folder: &Folder,
    prefix: &'static str,
    change: fn(StaticFiles) -> StaticFiles,
) -> TestApp {
    let site = folder.path().join("site");
    serve(move |r| r.post("/api/users", hello).files(prefix, change(StaticFiles::new(&site)))).await
}

#[tokio::test]
async fn files_are_sent_with_what_they_are_known_by() {
    within(async {
        let folder = folder();
        let app = app(&folder, "/assets", |files| files.cache_control("public, max-age=60")).await;
        let reply = app.http().get("/assets/app.css").await;
        assert_eq!((reply.status().as_u16(), reply.text()), (200, "body { color: red }"));
        assert_eq!(reply.header("content-type"), Some("text/css; charset=utf-8"));
        assert_eq!(reply.header("cache-control"), Some("public, max-age=60"));
        assert_eq!(reply.header("accept-ranges"), Some("bytes"));
        assert_eq!(reply.header("vary"), Some("accept-encoding"));
        assert!(reply.header("last-modified").is_some());
        let etag = reply.header("etag").expect("an entity tag");
        let known = app.http().get("/assets/app.css").header("if-none-match", etag).await;
        assert_eq!((known.status().as_u16(), known.text()), (304, ""));
        assert_eq!(known.header("cache-control"), Some("public, max-age=60"));
        assert_eq!(known.header("vary"), Some("accept-encoding"));
        let part = app.http().get("/assets/app.css").header("range", "bytes=0-3").await;
        assert_eq!((part.status().as_u16(), part.text()), (206, "body"));
        let head = app.http().head("/assets/app.css").await;
        assert_eq!((head.header("content-length"), head.header("etag")), (Some("19"), Some(etag)));
        assert_eq!(app.http().get("/assets/empty/a%20b.txt").await.text(), "a b");
    })
    .await;
}

#[tokio::test]
async fn a_coding_that_the_client_takes_is_sent_where_it_lies_beside_the_file() {
    within(async {
        let folder = folder();
        let app = app(&folder, "/", |files| files).await;
        let get = async |path: &str, accept: &str| {
            app.http().get(path).header("accept-encoding", accept).await
        };
        for (accept, coding, text) in [
            ("gzip, deflate, br, zstd", Some("br"), "as br"),
            ("gzip", Some("gzip"), "as gzip"),
            ("zstd, gzip;q=0.5", Some("gzip"), "as gzip"),
            ("zstd", None, "body { color: red }"),
            ("br;q=0", None, "body { color: red }"),
        ] {
            let reply = get("/app.css", accept).await;
            assert_eq!(
                (reply.header("content-encoding"), reply.text()),
                (coding, text),
                "{accept}"
            );
            assert_eq!(reply.header("content-type"), Some("text/css; charset=utf-8"));
            assert_eq!(reply.header("vary"), Some("accept-encoding"));
        }
        let (plain, coded) = (get("/app.css", "").await, get("/app.css", "br").await);
        assert_ne!(plain.header("etag"), coded.header("etag"), "they are not the same bytes");
        let reply = get("/index.html", "br").await;
        assert_eq!((reply.header("content-encoding"), reply.text()), (None, "<h1>home</h1>"));
    })
    .await;
}

#[tokio::test]
async fn folders_are_shown_by_their_index() {
    within(async {
        let folder = folder();
        let app = app(&folder, "/site", |files| files).await;
        assert_eq!(app.http().get("/site/").await.text(), "<h1>home</h1>");
        assert_eq!(app.http().get("/site/docs/").await.text(), "docs");
        for (path, location) in
            [("/site", "./site/"), ("/site/docs?a=b", "./docs/?a=b"), ("/site/d%6fcs", "./docs/")]
        {
            let reply = app.http().get(path).await;
            assert_eq!(reply.status(), 307, "{path}");
            assert_eq!(reply.header("location"), Some(location), "{path}");
        }
        for path in ["/site/empty", "/site/empty/", "/site/app.css/"] {
            assert_eq!(app.http().get(path).await.status(), 404, "{path}");
        }
        let none = self::app(&folder, "/site", StaticFiles::no_index).await;
        assert_eq!(none.http().get("/site/").await.status(), 404);
        assert_eq!(none.http().get("/site/docs").await.status(), 404);
    })
    .await;
}

#[tokio::test]
async fn nothing_outside_of_the_folder_and_nothing_hidden_is_found() {
    within(async {
        let folder = folder();
        std::os::unix::fs::symlink("../secret.txt", folder.path().join("site/out.txt"))
            .expect("a link");
        std::os::unix::fs::symlink("app.css", folder.path().join("site/in.css")).expect("a link");
        let app = app(&folder, "/", |files| files).await;
        assert_eq!(app.http().get("/in.css").await.text(), "body { color: red }");
        assert_eq!(app.http().get("/.well-known/security.txt").await.text(), "mail us");
        let mut raw = Raw::connect(&app).await;
        for path in [
            "/../secret.txt",
            "/docs/../../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/docs%2findex.html",
            "/..%5csecret.txt",
            "//secret.txt",
            "/./app.css",
            "/docs//index.html",
            "/out.txt",
            "/.env",
            "/%2eenv",
            "/app.css%00",
            "/%ff",
        ] {
            raw.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
            let reply = raw.reply().await;
            assert_eq!(reply.status(), 404, "{path}");
            assert!(reply.body.contains("FILE_NOT_FOUND"), "{path}: {}", reply.body);
        }
        let hidden = self::app(&folder, "/", StaticFiles::hidden).await;
        assert_eq!(hidden.http().get("/.env").await.text(), "SECRET=1");
    })
    .await;
}

#[tokio::test]
async fn a_page_stands_for_what_is_missing_where_a_browser_opens_it() {
    within(async {
        let folder = folder();
        let app =
            app(&folder, "/", |files| files.page("index.html").cache_control("immutable")).await;
        let open = async |path: &str| {
            app.http().get(path).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8").await
        };
        for path in ["/users/7", "/api/users", "/empty"] {
            let reply = open(path).await;
            assert_eq!((reply.status().as_u16(), reply.text()), (200, "<h1>home</h1>"), "{path}");
            assert_eq!(reply.header("cache-control"), Some("no-cache"));
            assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        }
        assert_eq!(open("/app.css").await.header("cache-control"), Some("immutable"));
        let script = app.http().get("/missing.js").header("accept", "*/*").await;
        assert_eq!(script.status(), 404, "a script is no page");
    })
    .await;
}

#[tokio::test]
async fn the_table_comes_first_and_what_is_allowed_is_told() {
    within(async {
        let folder = folder();
        let app = app(&folder, "/", |files| files).await;
        assert_eq!(app.http().post("/api/users").await.json::<String>(), "hello");
        let reply = app.http().get("/api/users").await;
        assert_eq!((reply.status().as_u16(), reply.header("allow")), (405, Some("OPTIONS, POST")));
        let reply = app.http().put("/app.css").await;
        assert_eq!(reply.status(), 405);
        assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
        let reply = app.http().options("/app.css").await;
        assert_eq!(
            (reply.status().as_u16(), reply.header("allow")),
            (204, Some("GET, HEAD, OPTIONS"))
        );
        assert_eq!(
            app.http().get("/api/nothing").await.json::<Value>()["reason"],
            "FILE_NOT_FOUND"
        );
    })
    .await;
}

#[tokio::test]
async fn guards_stand_before_files_and_prefixes_compose() {
    within(async {
        let folder = folder();
        let site = folder.path().join("site");
        let guard = |context: &Context| match context.metadata.contains_key("authorization") {
            true => Ok(()),
            false => Err(Fault::unauthenticated("NO_TOKEN", "who are you?")),
        };
        let routes =
            move |r: HttpRoutes| r.prefix("/t/{tenant}", |r| r.files("/site", site.clone()));
        let app = create_bootstrap(bootstrap(routes).pipeline(move |p| p.guard(guard)))
            .config("http.prefix", "/api")
            .await
            .expect("it starts");
        assert_eq!(app.http().get("/api/t/7/site/app.css").await.status(), 401);
        let reply = app.http().get("/api/t/7/site/docs/").header("authorization", "x").await;
        assert_eq!((reply.status().as_u16(), reply.text()), (200, "docs"));
    })
    .await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_ends_the_start() {
    within(async {
        let error = refused(bootstrap(|r| r.files("/assets", "nowhere/at/all"))).await;
        let text = format!("{error:?}");
        assert!(text.contains("the files at /assets"), "{text}");
        assert!(text.contains("nowhere/at/all"), "{text}");
    })
    .await;
}
