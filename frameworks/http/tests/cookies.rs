//! Cookies that answers set and requests bring back.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use polyport_bootstrap::{
    Fault,
    operation::{Context, Endpoint, Interceptor, Items, Next, Protocol, Reply},
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{
    Cookies, HttpRoutes,
    cookie::{Cookie, SameSite, time::Duration},
    testing::{HttpReply, HttpTest},
};
use serde_json::{Value, json};
use support::{Raw, address, bootstrap, tls::Identity, within};

const OLD: &str = "0123456789 0123456789 0123456789";
const NEW: &str = "abcdefghij abcdefghij abcdefghij";

async fn log_in(cookies: Cookies) -> Result<(), Fault> {
    cookies.set(Cookie::build(("theme", "dark")).http_only(false))?;
    cookies.set_signed(("user", "tom"))?;
    cookies.set_private(Cookie::build(("session", "a \"secret\"; 7")).max_age(Duration::days(1)))
}

async fn read(cookies: Cookies) -> Result<Value, Fault> {
    Ok(json!({
        "theme": cookies.get("theme"),
        "user": cookies.signed("user"),
        "session": cookies.private("session"),
    }))
}

async fn log_out(cookies: Cookies) -> Result<(), Fault> {
    cookies.remove("session")?;
    Err(Fault::unauthenticated("LOGGED_OUT", "you have been logged out"))
}

fn routes(r: HttpRoutes) -> HttpRoutes {
    r.post("/login", log_in).get("/read", read).post("/logout", log_out)
}

async fn with_keys(keys: &[&str]) -> TestApp {
    let app = create_bootstrap(bootstrap(routes)).config("http.cookies.keys", json!(keys));
    app.await.expect("it starts")
}

fn set(reply: &HttpReply) -> Vec<String> {
    let values = reply.headers().get_all("set-cookie").iter();
    values.map(|value| value.to_str().expect("text").to_owned()).collect()
}

/// What a browser sends back.
fn sent_back(set: &[String]) -> String {
    let pairs: Vec<_> = set.iter().filter_map(|cookie| cookie.split(';').next()).collect();
    pairs.join("; ")
}

async fn read_with(app: &TestApp, cookies: &str) -> Value {
    app.http().get("/read").header("cookie", cookies).await.json()
}

#[tokio::test]
async fn what_is_set_is_careful_and_comes_back() {
    within(async {
        let app = with_keys(&[NEW]).await;
        let set = set(&app.http().post("/login").await);
        assert_eq!(set[0], "theme=dark; SameSite=Lax; Path=/");
        assert!(set[1].starts_with("user=tom."), "{set:?}");
        assert!(set[1].ends_with("; HttpOnly; SameSite=Lax; Path=/"), "{set:?}");
        assert!(set[2].contains("Max-Age=86400"), "{set:?}");
        assert!(!set[2].contains("secret"), "{set:?}");
        let read = read_with(&app, &sent_back(&set)).await;
        assert_eq!(read, json!({ "theme": "dark", "user": "tom", "session": "a \"secret\"; 7" }));
    })
    .await;
}

#[tokio::test]
async fn what_was_tampered_with_reads_as_none() {
    within(async {
        let app = with_keys(&[NEW]).await;
        let set = set(&app.http().post("/login").await);
        let cookies = sent_back(&set);
        let none = json!({ "theme": "dark", "user": null, "session": null });
        let other = cookies.replace("user=tom", "user=eve").replace("session=", "session=A");
        assert_eq!(read_with(&app, &other).await, none);
        let plain = "theme=dark; user=tom; session=7";
        assert_eq!(read_with(&app, plain).await, none);
        // A forged one before the real one does not hide it.
        let tossed = format!("user=eve.x; {cookies}");
        assert_eq!(read_with(&app, &tossed).await["user"], "tom");
    })
    .await;
}

#[tokio::test]
async fn keys_rotate() {
    within(async {
        let cookies = sent_back(&set(&with_keys(&[OLD]).await.http().post("/login").await));
        assert_eq!(read_with(&with_keys(&[NEW, OLD]).await, &cookies).await["user"], "tom");
        let gone = read_with(&with_keys(&[NEW]).await, &cookies).await;
        assert_eq!((&gone["user"], &gone["session"]), (&Value::Null, &Value::Null));
        let none = with_keys(&[]).await;
        assert_eq!(read_with(&none, &cookies).await["user"], Value::Null);
        assert_eq!(none.http().post("/login").await.status(), 500);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_can_be_guessed_does_not_start_and_none_is_shown() {
    within(async {
        let app =
            create_bootstrap(bootstrap(routes)).config("http.cookies.keys", json!(["hunter2"]));
        let error = format!("{:?}", app.await.expect_err("too short"));
        assert!(error.contains("http.cookies.keys"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_fault_removes_cookies_too() {
    within(async {
        let reply = with_keys(&[]).await.http().post("/logout").await;
        assert_eq!(reply.status(), 401);
        let set = set(&reply);
        assert!(set[0].starts_with("session=; "), "{set:?}");
        assert!(set[0].contains("Max-Age=0") && set[0].contains("Path=/"), "{set:?}");
    })
    .await;
}

#[tokio::test]
async fn cookies_are_secure_where_the_settings_or_their_names_say_so() {
    within(async {
        let routes = |r: HttpRoutes| {
            r.get("/plain", async |cookies: Cookies| cookies.set(("a", "1")))
                .get("/own", async |cookies: Cookies| {
                    cookies.set(Cookie::build(("a", "1")).secure(false).path("/own"))
                })
                .get("/host", async |cookies: Cookies| cookies.set(("__Host-a", "1")))
                .get("/cross", async |cookies: Cookies| {
                    cookies.set(Cookie::build(("a", "1")).same_site(SameSite::None))
                })
        };
        for (setting, secure) in [("auto", false), ("always", true), ("never", false)] {
            let app = create_bootstrap(bootstrap(routes)).config("http.cookies.secure", setting);
            let app = app.await.expect("it starts");
            let is_secure = async |path: &str| {
                set(&app.http().get(path).await)[0].split("; ").any(|part| part == "Secure")
            };
            assert_eq!(is_secure("/plain").await, secure, "{setting}");
            assert!(!is_secure("/own").await, "{setting}");
            assert!(is_secure("/host").await && is_secure("/cross").await, "{setting}");
        }
    })
    .await;
}

fn logs_in(r: HttpRoutes) -> HttpRoutes {
    r.get("/plain", async |cookies: Cookies| cookies.set(("a", "1")))
}

fn is_secure(head: &str) -> bool {
    let cookie = head.lines().find(|line| line.starts_with("set-cookie: a=1;"));
    cookie.expect("a cookie is set").split("; ").any(|part| part == "Secure")
}

#[tokio::test]
async fn cookies_are_secure_where_the_request_came_by_tls() {
    within(async {
        let identity = Identity::new();
        let app = create_bootstrap(bootstrap(logs_in))
            .config("http.tls.certificate_pem", identity.certificate.as_str())
            .config("http.tls.key_pem", identity.key.as_str());
        let app = app.await.expect("it starts");
        let reply = identity.get(address(&app), "/plain", &[]).await;
        assert!(reply.starts_with("HTTP/1.1 204 ") && is_secure(&reply), "{reply}");
    })
    .await;
}

#[tokio::test]
async fn cookies_are_secure_where_the_client_spoke_tls_to_a_trusted_proxy() {
    within(async {
        let lines = |scheme| {
            let common = format!("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: {scheme}");
            [common, format!("Forwarded: for=192.0.2.7;proto={scheme}")]
        };
        for (proxies, scheme, secure) in [
            (json!(["127.0.0.1"]), "https", true),
            (json!(["127.0.0.1"]), "http", false),
            (json!(["192.0.2.0/24"]), "https", false),
            (json!([]), "https", false),
        ] {
            let app = create_bootstrap(bootstrap(logs_in))
                .config("http.trusted_proxies", proxies.clone())
                .await
                .expect("it starts");
            for line in lines(scheme) {
                let mut client = Raw::connect(&app).await;
                client.send(format!("GET /plain HTTP/1.1\r\nHost: test\r\n{line}\r\n\r\n")).await;
                let reply = client.reply().await;
                assert_eq!(is_secure(&reply.head), secure, "{proxies} {line}: {reply:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn cookies_are_not_secure_where_the_client_spoke_plainly_to_a_proxy_that_speaks_tls() {
    within(async {
        let identity = Identity::new();
        let app = create_bootstrap(bootstrap(logs_in))
            .config("http.tls.certificate_pem", identity.certificate.as_str())
            .config("http.tls.key_pem", identity.key.as_str())
            .config("http.trusted_proxies", json!(["127.0.0.1"]));
        let app = app.await.expect("it starts");
        let told = ["Forwarded: for=192.0.2.7;proto=http"];
        assert!(!is_secure(&identity.get(address(&app), "/plain", &told).await));
    })
    .await;
}

struct Visits;

#[async_trait]
impl Interceptor for Visits {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let cookies = Cookies::of(context).expect("it is HTTP");
        cookies.set(("visits", "1"))?;
        cookies.set(("visits", "2"))?;
        cookies.set(Cookie::build(("visits", "3")).path("/deep"))?;
        next.run(context).await
    }
}

#[tokio::test]
async fn middleware_sets_cookies_around_whatever_answers() {
    within(async {
        let routes = |r: HttpRoutes| {
            r.get("/items", async || {
                Ok::<_, Fault>(Items::new(stream::iter([1, 2]).map(Ok::<_, Fault>)))
            })
            .mount("/pages", axum::Router::new().route("/in", axum::routing::get("page")))
        };
        let bootstrap = bootstrap(routes).pipeline(|p| p.middleware("visits", Visits));
        let app = create_bootstrap(bootstrap).await.expect("it starts");
        for (path, status) in [("/items", 200), ("/pages/in", 200), ("/nothing", 404)] {
            let reply = app.http().get(path).await;
            assert_eq!(reply.status(), status);
            let set = set(&reply);
            assert_eq!(set.len(), 2, "{path}: {set:?}");
            assert!(set[0].starts_with("visits=2;") && set[1].starts_with("visits=3;"), "{set:?}");
        }
    })
    .await;
}

#[test]
fn cookies_exist_on_http_only() {
    let refusal = Endpoint::json(read).info().refusal_on(Protocol::new("amqp"));
    assert!(refusal.expect("HTTP only").contains("http only"));
}
