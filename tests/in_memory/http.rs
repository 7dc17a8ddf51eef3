//! What `app.http()` can.

use polyport::testing::{HttpTest, Multipart};
use serde_json::{Value, json};

use crate::{
    app::{Post, app, post},
    both_ways,
};

both_ways! {
    values_come_and_go_as_json_query_and_form(way) {
        let app = app(way).await.expect("it starts");
        let sent = post("tom & ann", &["a", "b"]);
        let client = app.http();
        assert_eq!(client.post("/echo").json(&sent).await.json::<Post>(), sent);
        assert_eq!(client.get("/echo").query(&sent).await.json::<Post>(), sent);
        assert_eq!(client.post("/echo").form(&sent).await.json::<Post>(), sent);
        app.close().await.expect("it stops");
    }

    a_fault_is_a_value_and_a_failure_shows_all(way) {
        let app = app(way).await.expect("it starts");
        let reply = app.http().post("/echo").json(&json!({ "from": "nobody" })).await;
        let fault = reply.expect_status(404).fault().expect("a fault");
        assert_eq!(fault.reason(), "NO_USER");
        let reply = app.http().get("/nowhere").header("x-mine", "7").await;
        let shown = format!("{reply:?}");
        for part in ["> GET /nowhere", "> x-mine: 7", "< 404", "< content-type: ", "\"status\""] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        let failed = tokio::spawn(async { reply.expect_status(200) }).await;
        assert!(failed.expect_err("it fails").is_panic());
        app.close().await.expect("it stops");
    }

    cookies_are_kept_and_redirects_followed_where_that_is_wanted(way) {
        let app = app(way).await.expect("it starts");
        let client = app.http();
        assert_eq!(client.get("/me").await.status(), 401);
        let reply = client.post("/login").await;
        assert_eq!((reply.status().as_u16(), reply.header("location")), (303, Some("/me")));
        assert_eq!(client.cookie("user").as_deref(), Some("tom"));
        assert_eq!(client.get("/me").await.json::<String>(), "tom");
        assert_eq!(app.http().get("/me").await.status(), 401);
        let followed = app.http().post("/login").follow_redirects().await;
        assert_eq!((followed.path(), followed.json::<String>()), ("/me", "tom".to_owned()));
        app.close().await.expect("it stops");
    }

    redirects_are_followed_over_many_hops_and_by_whole_urls(way) {
        let app = app(way).await.expect("it starts");
        let client = app.http();
        for begin in ["/hops/0", "/hops/19", "/absolute"] {
            let reply = client.get(begin).follow_redirects().await.expect_status(200);
            assert_eq!(reply.path(), "/echo?from=https://example.org/back");
            assert_eq!(reply.json::<Post>().from, "https://example.org/back");
        }
        let sent = post("tom", &["a"]);
        let reply = client.post("/moved").json(&sent).follow_redirects().await;
        assert_eq!((reply.path(), reply.json::<Post>()), ("/echo", sent));
        for (begin, said) in [
            ("/hops/20", "GET /hops/0: more than 20 redirects, the last to \"../echo?"),
            ("/away", "GET /away: the redirect leads to another server, https://example.org/"),
        ] {
            let error = client.get(begin).follow_redirects().send().await.expect_err("ends");
            assert!(error.to_string().starts_with(said), "{error}");
        }
        app.close().await.expect("it stops");
    }

    a_path_begins_with_a_slash(way) {
        let app = app(way).await.expect("it starts");
        for path in ["", "me", "http://example.org/me"] {
            let error = app.http().get(path).send().await.expect_err("is no path").to_string();
            assert_eq!(error, format!("GET {path}: {path:?} is no path"));
        }
        app.close().await.expect("it stops");
    }

    a_cookie_of_the_request_itself_comes_first(way) {
        let app = app(way).await.expect("it starts");
        let client = app.http();
        client.set_cookie("user", "tom");
        assert_eq!(client.get("/me").await.json::<String>(), "tom");
        assert_eq!(client.get("/me").header("cookie", "user=ann").await.json::<String>(), "ann");
        let own = app.http().with_header("cookie", "user=jun");
        own.set_cookie("user", "tom");
        assert_eq!(own.get("/me").await.json::<String>(), "jun");
        app.close().await.expect("it stops");
    }

    forms_with_files_are_sent(way) {
        let app = app(way).await.expect("it starts");
        let form = Multipart::new().text("title", "a cat").file("f", "cat.png", "image/png", "...");
        let described: Value = app.http().post("/upload").multipart(form).await.json();
        assert_eq!(described, json!({ "texts": [["title", "a cat"]], "files": [["cat.png", 3]] }));
        app.close().await.expect("it stops");
    }

    events_and_bytes_are_read_as_they_come(way) {
        let app = app(way).await.expect("it starts");
        let mut events = app.http().get("/ticks").events().await;
        assert_eq!(events.expect_event::<u32>("odd").await, 1);
        // What came before it is kept.
        assert_eq!(events.next().await.expect("is kept").json::<u32>(), 0);
        assert_eq!(events.next().await.expect("goes on").id.as_deref(), Some("2"));
        assert_eq!(events.expect_event::<u32>("odd").await, 3);
        assert_eq!(events.next().await, None);
        let mut pieces = app.http().get("/pieces").stream().await;
        let first = pieces.chunk().await.expect("has a begin");
        assert!(first.starts_with(b"one "));
        let rest = pieces.whole().await.expect("comes to its end");
        assert_eq!([&first[..], rest.bytes()].concat(), b"one two three");
        app.close().await.expect("it stops");
    }

    limits_are_the_same(way) {
        let app = app(way).config("http.limits.header_size", 8192).await.expect("it starts");
        let long = "x".repeat(16 * 1024);
        assert_eq!(app.http().get("/me").header("x-long", &long).await.status(), 431);
        let large = json!({ "from": "x".repeat(4 * 1024 * 1024) });
        assert_eq!(app.http().post("/echo").json(&large).await.status(), 413);
        app.close().await.expect("it stops");
    }
}
