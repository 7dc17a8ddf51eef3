//! What all tests of this crate share.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "it is part of several tests, none of which uses all"
)]

pub mod tls;

use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use polyport_bootstrap::{
    Application, Bootstrap, Error, Fault, Module, ModuleBuilder, Result,
    operation::Input,
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{HttpApp, HttpFramework, HttpModule, HttpRoutes};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A module of routes.
pub struct Routes<F>(&'static str, F);

/// A module of routes, by its name.
pub fn module<F>(name: &'static str, routes: F) -> Routes<F>
where
    F: Fn(HttpRoutes) -> HttpRoutes + Send + Sync + 'static,
{
    Routes(name, routes)
}

impl<F> Module for Routes<F>
where
    F: Fn(HttpRoutes) -> HttpRoutes + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.0
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.http(&self.1);
        Ok(())
    }
}

/// A bootstrap with one HTTP framework and one module of these routes.
pub fn bootstrap<F>(routes: F) -> Bootstrap
where
    F: Fn(HttpRoutes) -> HttpRoutes + Send + Sync + 'static,
{
    Bootstrap::new().load(HttpFramework::new()).module(module("test", routes))
}

/// Starts it on a free port.
pub async fn serve<F>(routes: F) -> TestApp
where
    F: Fn(HttpRoutes) -> HttpRoutes + Send + Sync + 'static,
{
    create_bootstrap(bootstrap(routes)).await.expect("it starts")
}

/// The report of a start that must fail.
pub async fn refused(bootstrap: Bootstrap) -> Error {
    create_bootstrap(bootstrap).await.expect_err("the start must fail")
}

/// No test hangs.
pub async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test hangs")
}

#[derive(Debug, Serialize, Deserialize, garde::Validate)]
#[serde(rename_all = "camelCase")]
#[garde(allow_unvalidated)]
pub struct Post {
    pub room: String,
    #[garde(length(min = 1))]
    pub from: String,
    pub limit: Option<u32>,
}

pub async fn post(Input(post): Input<Post>) -> Result<Post, Fault> {
    Ok(post)
}

pub async fn hello() -> Result<&'static str, Fault> {
    Ok("hello")
}

/// A raw connection: what is sent is sent as it is.
pub struct Raw(TcpStream, Vec<u8>);

#[derive(Debug)]
pub struct RawReply {
    pub head: String,
    pub body: String,
}

impl RawReply {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status line")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

pub fn address(app: &TestApp) -> SocketAddr {
    app.app::<HttpApp>().expect("loaded").local_addr().expect("bound")
}

impl Raw {
    pub async fn connect(app: &TestApp) -> Self {
        Self(TcpStream::connect(address(app)).await.expect("a connection"), Vec::new())
    }

    pub async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).await.expect("sent");
    }

    /// Sends until the server takes no more.
    pub async fn send_as_far_as_it_goes(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// The next reply, with a body of its `Content-Length`.
    pub async fn reply(&mut self) -> RawReply {
        self.reply_to(false).await
    }

    /// The next reply, which has no body if it answers HEAD.
    pub async fn reply_to(&mut self, head_request: bool) -> RawReply {
        let end = loop {
            match self.1.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => assert!(self.more().await, "the connection ended in a head"),
            }
        };
        let head = String::from_utf8(self.1.drain(..end).collect()).expect("text");
        let mut reply = RawReply { head, body: String::new() };
        let length = reply.header("content-length").map_or(0, |l| l.parse().expect("a length"));
        let length = if head_request { 0 } else { length };
        while self.1.len() < length {
            assert!(self.more().await, "the connection ended in a body");
        }
        reply.body = String::from_utf8(self.1.drain(..length).collect()).expect("text");
        reply
    }

    /// Everything up to this text, which must come.
    pub async fn until(&mut self, text: &str) -> String {
        let end = loop {
            match self.1.windows(text.len()).position(|bytes| bytes == text.as_bytes()) {
                Some(start) => break start + text.len(),
                None => assert!(self.more().await, "the connection ended before {text:?}"),
            }
        };
        String::from_utf8(self.1.drain(..end).collect()).expect("text")
    }

    /// Whether the server has ended the connection, with nothing more to read.
    pub async fn is_over(&mut self) -> bool {
        !self.more().await && self.1.is_empty()
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = self.0.read(&mut buffer).await.unwrap_or(0);
        self.1.extend_from_slice(&buffer[..read]);
        read > 0
    }
}

/// A folder of a test's own, removed with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("polyport-http-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).expect("a folder");
        folder
    }

    /// Writes a file, and the folders that it is in.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(path, text).expect("written");
        self
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The names of what is in it.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
