//! Compressed answers, and bodies that come compressed.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use async_compression::tokio::bufread::{
    BrotliDecoder, BrotliEncoder, GzipDecoder, GzipEncoder, ZstdDecoder, ZstdEncoder,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use polyport_bootstrap::{
    Fault,
    operation::{BodyStream, ByteStream, File, Items, Raw},
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{
    HttpRoutes,
    testing::{HttpReply, HttpTest},
};
use serde_json::Value;
use support::{Folder, Post, bootstrap, post, within};
use tokio::io::{AsyncRead, AsyncReadExt};

async fn all_of(mut reader: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut all = Vec::new();
    reader.read_to_end(&mut all).await.expect("readable");
    all
}

async fn decoded(coding: &str, bytes: &[u8]) -> String {
    let bytes = match coding {
        "gzip" => all_of(GzipDecoder::new(bytes)).await,
        "br" => all_of(BrotliDecoder::new(bytes)).await,
        "zstd" => all_of(ZstdDecoder::new(bytes)).await,
        other => panic!("{other} was not asked for"),
    };
    String::from_utf8(bytes).expect("text")
}

async fn encoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => all_of(GzipEncoder::new(bytes)).await,
        "br" => all_of(BrotliEncoder::new(bytes)).await,
        _ => all_of(ZstdEncoder::new(bytes)).await,
    }
}

fn long() -> String {
    "all work and no play ".repeat(200)
}

fn routes(folder: &Folder) -> impl Fn(HttpRoutes) -> HttpRoutes + Send + Sync + 'static + use<> {
    let (site, file) = (folder.path().to_owned(), folder.path().join("a.txt"));
    move |r| {
        let file = file.clone();
        r.get("/long", async || Ok::<_, Fault>(long()))
            .get("/short", async || Ok::<_, Fault>("short"))
            .get("/image", async || Ok::<_, Fault>(Raw::new("image/png", long())))
            .get("/stream", async || {
                let pieces = stream::iter(
                    long().into_bytes().chunks(100).map(Bytes::copy_from_slice).collect::<Vec<_>>(),
                );
                Ok::<_, Fault>(ByteStream::new("text/plain", pieces.map(Ok::<_, Fault>)))
            })
            .get("/broken", async || {
                let lost = Err(Fault::unavailable("LOST", "the source is gone"));
                Ok::<_, Fault>(ByteStream::new(
                    "text/plain",
                    stream::iter([Ok(Bytes::from(long())), lost]),
                ))
            })
            .get("/items", async || {
                Ok::<_, Fault>(Items::new(stream::iter([long()]).map(Ok::<_, Fault>)))
            })
            .get("/file", async move || File::open(&file).await)
            .files("/site", site.clone())
            .post("/posts/{room}", post)
            .post("/count", async |body: BodyStream| Ok::<_, Fault>(body.collect().await?.len()))
    }
}

async fn app(folder: &Folder) -> TestApp {
    folder.write("a.txt", long()).write("b.js", long()).write("b.js.br", "as br");
    let app = create_bootstrap(bootstrap(routes(folder)))
        .config("http.compression.enabled", true)
        .config("http.compression.requests", true)
        .config("http.body_limit", 100_000);
    app.await.expect("it starts")
}

async fn get(app: &TestApp, path: &str, accept: &str) -> HttpReply {
    app.http().get(path).header("accept-encoding", accept).await
}

#[tokio::test]
async fn answers_come_in_the_coding_that_the_client_takes() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", "zstd"),
            ("gzip, deflate, br", "br"),
            ("gzip", "gzip"),
            ("zstd;q=0.5, gzip", "gzip"),
        ] {
            for (path, whole) in [("/long", format!("\"{}\"", long())), ("/stream", long())] {
                let reply = get(&app, path, accept).await;
                assert_eq!(reply.header("content-encoding"), Some(coding), "{path} {accept}");
                assert_eq!(reply.header("vary"), Some("accept-encoding"));
                assert!(reply.bytes().len() < 1000, "{}", reply.bytes().len());
                assert_eq!(decoded(coding, reply.bytes()).await, whole);
            }
        }
        let plain = app.http().get("/long").await;
        assert_eq!(
            (plain.header("content-encoding"), plain.header("vary")),
            (None, Some("accept-encoding"))
        );
        assert_eq!(plain.text().len(), long().len() + 2);
        let head = app.http().head("/long").header("accept-encoding", "gzip").await;
        assert_eq!(head.header("content-encoding"), Some("gzip"), "HEAD says what GET does");
        assert_eq!(head.header("content-length"), None);
        let cut = app.http().get("/broken").header("accept-encoding", "gzip").send().await;
        assert!(cut.is_err(), "it looks whole: {cut:?}");
    })
    .await;
}

#[tokio::test]
async fn what_gains_nothing_or_must_not_change_is_left_as_it_is() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        for path in ["/short", "/image", "/items", "/nothing"] {
            let reply = get(&app, path, "gzip, br, zstd").await;
            assert_eq!(reply.header("content-encoding"), None, "{path}");
        }
        let events = app.http().get("/items").header("accept", "text/event-stream");
        let events = events.header("accept-encoding", "gzip").await;
        assert_eq!(events.header("content-encoding"), None);
        let coded = get(&app, "/site/b.js", "br, zstd;q=0.1").await;
        assert_eq!((coded.header("content-encoding"), coded.text()), (Some("br"), "as br"));
        let part = app.http().get("/file").header("range", "bytes=0-2");
        let part = part.header("accept-encoding", "gzip").await;
        assert_eq!((part.status().as_u16(), part.text()), (206, "all"));
        assert_eq!(part.header("content-encoding"), None);
    })
    .await;
}

#[tokio::test]
async fn a_compressed_file_is_known_by_a_weak_tag() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        let reply = get(&app, "/file", "gzip").await;
        assert_eq!(decoded("gzip", reply.bytes()).await, long());
        assert_eq!(reply.header("accept-ranges"), None);
        let etag = reply.header("etag").expect("an entity tag");
        assert!(etag.starts_with("W/"), "{etag}");
        let known = app.http().get("/file").header("if-none-match", etag);
        let known = known.header("accept-encoding", "gzip").await;
        assert_eq!(known.status(), 304);
        assert_eq!(known.header("vary"), Some("accept-encoding"));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_compressed_unless_it_is_asked_for() {
    within(async {
        let folder = Folder::new();
        let app = create_bootstrap(bootstrap(routes(&folder))).await.expect("it starts");
        let reply = get(&app, "/long", "gzip").await;
        assert_eq!((reply.header("content-encoding"), reply.header("vary")), (None, None));
        let body = encoded("gzip", br#"{"from":"tom"}"#).await;
        let reply = app.http().post("/posts/a").header("content-encoding", "gzip");
        assert_eq!(reply.body("application/json", body).await.status(), 415);
    })
    .await;
}

#[tokio::test]
async fn bodies_come_compressed_within_their_limit() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        let send = async |path: &str, coding: &str, body: Vec<u8>| {
            let request = app.http().post(path).header("content-encoding", coding);
            request.body("application/json", body).await
        };
        let bomb = vec![b' '; 10_000_000];
        for coding in ["gzip", "br", "zstd"] {
            let body = encoded(coding, br#"{"from":"tom"}"#).await;
            let reply = send("/posts/a", coding, body).await;
            assert_eq!(reply.json::<Post>().from, "tom", "{coding}");
            let small = encoded(coding, &bomb).await;
            assert!(small.len() < 50_000, "{}", small.len());
            for path in ["/posts/a", "/count"] {
                let reply = send(path, coding, small.clone()).await;
                assert_eq!(reply.status(), 413, "{path} {coding}");
                assert_eq!(reply.json::<Value>()["reason"], "BODY_TOO_LARGE");
            }
            let reply = send("/posts/a", coding, b"no such format".to_vec()).await;
            assert_eq!(reply.status(), 400, "{coding}");
        }
        assert_eq!(send("/posts/a", "deflate", b"{}".to_vec()).await.status(), 415);
        assert_eq!(send("/posts/a", "gzip, br", b"{}".to_vec()).await.status(), 415);
        let reply = send("/posts/a", "identity", br#"{"from":"tom"}"#.to_vec()).await;
        assert_eq!(reply.json::<Post>().from, "tom");
    })
    .await;
}

#[tokio::test]
async fn a_body_of_several_members_is_read_to_its_end_and_nothing_may_stand_behind() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        let post = async |coding: &str, body: Vec<u8>| {
            let request = app.http().post("/posts/a").header("content-encoding", coding);
            request.body("application/json", body).await
        };
        for coding in ["gzip", "zstd"] {
            let (first, second) =
                (encoded(coding, br#"{"from":"#).await, encoded(coding, br#""tom"}"#).await);
            let whole = [first, second].concat();
            assert_eq!(post(coding, whole.clone()).await.json::<Post>().from, "tom", "{coding}");
            let reply = post(coding, [&whole[..], b"something else"].concat()).await;
            assert_eq!(reply.status(), 400, "{coding}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_sender_has_more_memory_taken_than_rfc_9659_lets_it() {
    within(async {
        let folder = Folder::new();
        let app = app(&folder).await;
        let json = br#"{"from":"tom"}"#;
        // A frame with a window of 2^(10 + exponent) bytes, and one raw block, the last (RFC 8878).
        let frame = |exponent: u8| {
            let block = u32::try_from(json.len()).expect("short") << 3 | 1;
            let head = [0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3];
            [&head[..], &block.to_le_bytes()[..3], &json[..]].concat()
        };
        for (exponent, status) in [(13, 200), (14, 400), (17, 400)] {
            let request = app.http().post("/posts/a").header("content-encoding", "zstd");
            let reply = request.body("application/json", frame(exponent)).await;
            assert_eq!(reply.status(), status, "{exponent}");
        }
    })
    .await;
}
