//! Clients that call over TLS.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use std::net::SocketAddr;

use polyport_bootstrap::config::Secret;
use polyport_grpc::{GrpcChannel, GrpcClientSettings, GrpcClientTls};
use polyport_proto::helloworld::{greeter_client::GreeterClient, greeter_server::GreeterServer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::{TonicGreeter, named, soon};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
}

/// The certificate and the key of whoever has that name.
fn signed(authority: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("signed");
    (certificate.pem(), key.serialize_pem())
}

struct Tls {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server for `users.test`, which asks for certificates of `clients` where there are any.
async fn server(authority: &Authority, clients: Option<&Authority>) -> Tls {
    let (certificate, key) = signed(authority, "users.test");
    let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
    if let Some(clients) = clients {
        tls = tls.client_ca_root(Certificate::from_pem(clients.pem()));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut server = Server::builder().tls_config(tls).expect("it fits");
    let server = server.add_service(GreeterServer::new(TonicGreeter));
    let server = server.serve_with_incoming(TcpListenerStream::new(listener));
    Tls { address, task: tokio::spawn(async { drop(server.await) }) }
}

async fn greets(server: &Tls, tls: GrpcClientTls) -> Result<String, Code> {
    let settings = GrpcClientSettings {
        addresses: vec![server.address.to_string()],
        retries: 0,
        tls: Some(tls),
        ..GrpcClientSettings::default()
    };
    let channel = GrpcChannel::open("users", &settings).expect("it fits");
    let reply = soon(GreeterClient::new(channel).say_hello(named("Tom"))).await;
    reply.map(|reply| reply.into_inner().message).map_err(|status| status.code())
}

fn trusting(authority: &Authority) -> GrpcClientTls {
    let domain = Some("users.test".to_owned());
    GrpcClientTls { ca: authority.pem(), domain, ..GrpcClientTls::default() }
}

const GREETING: &str = "tonic says hello to Tom";

#[tokio::test]
async fn a_server_of_a_trusted_authority_is_called_and_no_other() {
    let authority = authority();
    let server = server(&authority, None).await;
    assert_eq!(greets(&server, trusting(&authority)).await.as_deref(), Ok(GREETING));
    let other = trusting(&self::authority());
    assert_eq!(greets(&server, other).await, Err(Code::Unavailable));
    let renamed = GrpcClientTls { domain: Some("rooms.test".to_owned()), ..trusting(&authority) };
    assert_eq!(greets(&server, renamed).await, Err(Code::Unavailable));
    let by_address = GrpcClientTls { domain: None, ..trusting(&authority) };
    assert_eq!(greets(&server, by_address).await, Err(Code::Unavailable));
}

#[tokio::test]
async fn a_client_shows_its_own_certificate_where_it_is_asked_for() {
    let (authority, clients) = (authority(), self::authority());
    let server = server(&authority, Some(&clients)).await;
    assert_eq!(greets(&server, trusting(&authority)).await, Err(Code::Unavailable));
    let (certificate, key) = signed(&clients, "front.test");
    let known = GrpcClientTls {
        certificate: Some(certificate),
        key: Some(Secret::new(key)),
        ..trusting(&authority)
    };
    assert_eq!(greets(&server, known).await.as_deref(), Ok(GREETING));
}

#[tokio::test]
async fn certificates_may_be_files() {
    let authority = authority();
    let server = server(&authority, None).await;
    let file = std::env::temp_dir().join(format!("polyport-grpc-ca-{}.pem", std::process::id()));
    std::fs::write(&file, authority.pem()).expect("it is written");
    let ca = file.to_str().expect("text").to_owned();
    let tls = GrpcClientTls { ca, ..trusting(&authority) };
    let greeting = greets(&server, tls).await;
    std::fs::remove_file(&file).expect("it is removed");
    assert_eq!(greeting.as_deref(), Ok(GREETING));
}

#[tokio::test]
async fn half_of_an_identity_is_an_error() {
    let settings = GrpcClientSettings {
        addresses: vec!["users:7002".to_owned()],
        tls: Some(GrpcClientTls {
            certificate: Some("-----BEGIN CERTIFICATE-----".to_owned()),
            ..trusting(&authority())
        }),
        ..GrpcClientSettings::default()
    };
    let error = GrpcChannel::open("users", &settings).expect_err("the key is missing");
    assert_eq!(error.to_string(), "tls.certificate and tls.key belong together");
}
