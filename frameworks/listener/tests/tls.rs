//! TLS: who is let in, what is spoken, and certificates that are renewed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http::{Request, Response};
use polyport_bootstrap::config::Secret;
use polyport_listener::{
    ClientCertificates, Encrypted, Handler, ListenerError, ListenerSettings, PeerCertificates,
    RequestBody, ResponseBody, Server, SharedListener, TlsSettings, handler_fn,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use support::{Raw, at, eventually, hello, is_pending, serve_with, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as text.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

impl Identity {
    fn settings(&self) -> TlsSettings {
        TlsSettings {
            certificate_pem: Some(self.certificate.clone()),
            key_pem: Some(Secret::new(self.key.clone())),
            ..TlsSettings::default()
        }
    }
}

fn with_tls(tls: TlsSettings) -> ListenerSettings {
    ListenerSettings { tls, ..ListenerSettings::default() }
}

fn trusting(authority: &Authority, identity: Option<&Identity>, alpn: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn connect(addr: SocketAddr, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = within(TcpStream::connect(addr)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

/// What is answered to a GET, or nothing where the server does not want this client.
async fn get(addr: SocketAddr, config: ClientConfig) -> String {
    let Ok(mut stream) = connect(addr, config).await else { return String::new() };
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let _ = within(stream.write_all(request)).await;
    let mut answer = String::new();
    let _ = within(stream.read_to_string(&mut answer)).await;
    answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned()
}

/// Says what is known of the client.
fn who() -> impl Handler {
    handler_fn(async |request: Request<RequestBody>| {
        let certificates = request.extensions().get::<PeerCertificates>();
        let first = certificates.and_then(PeerCertificates::first).map_or(0, <[u8]>::len);
        let encrypted = request.extensions().get::<Encrypted>().is_some();
        Response::new(ResponseBody::from(format!("{encrypted} {}", first > 0)))
    })
}

async fn serve(tls: TlsSettings) -> (SharedListener, Server) {
    serve_with(who(), with_tls(tls)).await
}

#[tokio::test]
async fn both_versions_of_http_are_chosen_by_alpn() {
    let authority = Authority::new();
    let (_shared, server) = serve(authority.issue("localhost").settings()).await;
    for (offered, chosen) in
        [(vec!["h2", "http/1.1"], Some("h2")), (vec!["http/1.1"], Some("http/1.1")), (vec![], None)]
    {
        let stream = connect(at(&server), trusting(&authority, None, &offered)).await.unwrap();
        let alpn = stream.get_ref().1.alpn_protocol();
        assert_eq!(alpn, chosen.map(str::as_bytes), "{offered:?}");
    }
    assert_eq!(get(at(&server), trusting(&authority, None, &[])).await, "true false");

    let stream = connect(at(&server), trusting(&authority, None, &["h2"])).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let answer = within(client.send_request(support::get("/"))).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
}

#[tokio::test]
async fn clients_are_let_in_by_their_certificates() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (known, unknown) = (authority.issue("client"), stranger.issue("client"));
    for (wanted, without, with) in [
        (ClientCertificates::None, "true false", "true false"),
        (ClientCertificates::Optional, "true false", "true true"),
        (ClientCertificates::Required, "", "true true"),
    ] {
        let settings = TlsSettings {
            client_certificates: wanted,
            client_ca_pem: Some(authority.pem()),
            ..authority.issue("localhost").settings()
        };
        let (_shared, server) = serve(settings).await;
        let ask = async |identity| get(at(&server), trusting(&authority, identity, &[])).await;
        assert_eq!(ask(None).await, without, "{wanted}");
        assert_eq!(ask(Some(&known)).await, with, "{wanted}");
        let refused = if wanted == ClientCertificates::None { "true false" } else { "" };
        assert_eq!(ask(Some(&unknown)).await, refused, "{wanted}");
    }
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_is_closed_and_no_one_else_waits() {
    let authority = Authority::new();
    let settings = TlsSettings {
        handshake_timeout: Duration::from_millis(200),
        ..authority.issue("localhost").settings()
    };
    let (_shared, server) = serve(settings).await;
    let mut silent = Raw::connect(at(&server)).await;
    let mut plain = Raw::connect(at(&server)).await;
    plain.write("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!(get(at(&server), trusting(&authority, None, &[])).await, "true false");
    assert!(!String::from_utf8_lossy(&plain.rest().await).contains("HTTP"));
    silent.is_cut().await;
    eventually("nobody is left", || server.connections() == 0).await;
}

#[tokio::test]
async fn a_handshake_does_not_hold_the_stop() {
    let authority = Authority::new();
    let (_shared, server) = serve(authority.issue("localhost").settings()).await;
    let mut silent = Raw::connect(at(&server)).await;
    eventually("it is there", || server.connections() == 1).await;
    assert!(!is_pending(server.drain()).await);
    silent.is_cut().await;
}

/// Files in a folder of their own, which is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("polyport-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, identity: &Identity) -> TlsSettings {
        let (certificate, key) = (self.0.join("server.pem"), self.0.join("server.key"));
        fs::write(&certificate, &identity.certificate).unwrap();
        fs::write(&key, &identity.key).unwrap();
        TlsSettings {
            certificate: Some(certificate),
            key: Some(key),
            reload_interval: Duration::from_millis(20),
            ..TlsSettings::default()
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits until a client that trusts this authority is let in.
async fn becomes_trusted(server: &Server, authority: &Authority) {
    let trusted = async {
        while get(at(server), trusting(authority, None, &[])).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(trusted).await;
}

#[tokio::test]
async fn renewed_files_hold_for_new_connections_and_broken_ones_never() {
    let (old, new) = (Authority::new(), Authority::new());
    let folder = Folder::new("renewed");
    let settings = folder.write(&old.issue("localhost"));
    let (_shared, server) = serve(settings.clone()).await;
    let mut kept = connect(at(&server), trusting(&old, None, &[])).await.unwrap();

    fs::write(folder.0.join("server.pem"), "no certificate").unwrap();
    tokio::time::sleep(settings.reload_interval * 10).await;
    assert_eq!(get(at(&server), trusting(&old, None, &[])).await, "true false");

    folder.write(&new.issue("localhost"));
    becomes_trusted(&server, &new).await;
    assert_eq!(get(at(&server), trusting(&old, None, &[])).await, "");

    within(kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).await.unwrap();
    let mut answer = [0; 12];
    within(kept.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn settings_that_do_not_work_out_are_named_and_no_key_is_shown() {
    let authority = Authority::new();
    let (one, other) = (authority.issue("localhost"), authority.issue("localhost"));
    let missing = TlsSettings {
        certificate: Some("/no/such/file.pem".into()),
        certificate_pem: None,
        ..one.settings()
    };
    let mismatch = TlsSettings { key_pem: Some(Secret::new(other.key)), ..one.settings() };
    let no_key = TlsSettings { key_pem: Some("secret words".into()), ..one.settings() };
    let no_authority = TlsSettings {
        client_certificates: ClientCertificates::Required,
        client_ca_pem: Some("nothing".to_owned()),
        ..one.settings()
    };
    for (tls, named) in [
        (missing, "tls.certificate (/no/such/file.pem): "),
        (mismatch, "tls.key_pem: "),
        (no_key, "tls.key_pem: has no private key"),
        (no_authority, "tls.client_ca_pem: has no certificate"),
    ] {
        let shared = SharedListener::new("test");
        let listening = shared.bind("127.0.0.1", 0).await.unwrap().listen().unwrap();
        let error = shared.serve([listening], Arc::new(hello()), &with_tls(tls)).unwrap_err();
        assert!(matches!(&error, ListenerError::Tls { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(named) && !text.contains("secret words"), "{text}");
    }
}
