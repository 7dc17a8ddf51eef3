//! TLS to the broker, by way of a peer that ends it and passes on what it hears.

use std::sync::Arc;

use polyport_amqp::{AmqpApp, Delivery};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
    testing::TestBootstrap,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair};
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

use crate::support::{Probe, TestBroker, Text, start_error, text, until_connected};

on_both_brokers! {
    everything_goes_over_tls_and_comes_back_after_a_cut,
    a_broker_with_the_certificate_of_a_stranger_is_refused,
    a_broker_with_the_certificate_of_another_name_is_refused_unless_that_is_wanted,
    a_client_without_the_certificate_that_is_asked_for_is_told,
    a_client_shows_its_certificate,
    a_port_without_tls_is_told,
    a_refusal_by_tls_fails_the_start_in_every_mode,
}

/// An authority, and what it has signed.
struct Authority {
    pem: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        Self { pem: issuer.pem(), issuer }
    }

    fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let issuer: &Issuer<'_, _> = &self.issuer;
        let certificate = params.signed_by(&key, issuer).expect("signed");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A peer that speaks TLS, in front of the broker; it can be cut.
struct TlsPeer {
    url: String,
    cut: watch::Sender<u32>,
}

impl TlsPeer {
    /// With this certificate; clients need one that `clients` has signed, if it is given.
    async fn before(broker: &TestBroker, identity: &Identity, clients: Option<&Authority>) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(server(identity, clients)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (cut, cuts) = watch::channel(0);
        let to = broker.proxy.port;
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(acceptor.clone(), client, to, cuts.clone()));
            }
        });
        let (head, rest) = broker.url().rsplit_once('@').expect("credentials");
        let vhost = rest.split_once('/').expect("a virtual host").1;
        let head = head.replacen("amqp", "amqps", 1);
        Self { url: format!("{head}@127.0.0.1:{port}/{vhost}"), cut }
    }
}

async fn pass(acceptor: TlsAcceptor, client: TcpStream, to: u16, mut cuts: watch::Receiver<u32>) {
    cuts.mark_unchanged();
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let Ok(mut broker) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut broker) => {}
        _ = cuts.changed() => {}
    }
}

fn server(identity: &Identity, clients: Option<&Authority>) -> ServerConfig {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let der = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).expect("a certificate");
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(der(&authority.pem)).expect("an authority");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
    builder.with_single_cert(vec![der(&identity.certificate)], key).expect("they fit")
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

/// An application that connects to the peer, and trusts the authority.
fn app(
    broker: &TestBroker,
    probe: &Arc<Probe>,
    queue: &str,
    peer: &TlsPeer,
    authority: &Authority,
) -> TestBootstrap {
    let consumed = queue.to_owned();
    let app = broker.app(probe, move |routes| routes.consume(&consumed, report));
    app.config("amqp.url", &*peer.url).config("amqp.tls.ca", &*authority.pem)
}

async fn everything_goes_over_tls_and_comes_back_after_a_cut(broker: Arc<TestBroker>) {
    let (probe, queue, authority) = (Probe::new(), broker.name("q"), Authority::new());
    let peer = TlsPeer::before(&broker, &authority.sign("127.0.0.1"), None).await;
    let app = app(&broker, &probe, &queue, &peer, &authority).await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    for round in 0..2 {
        let long = format!("{round}{}", "x".repeat(200_000));
        amqp.publish("", &queue, &text(&long)).await.expect("confirmed");
        while probe.next().await.text != long {}
        broker.proxy.cut_off();
        peer.cut.send_modify(|cuts| *cuts += 1);
        until_connected(&app, false).await;
        broker.proxy.mend();
        until_connected(&app, true).await;
    }
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_broker_with_the_certificate_of_a_stranger_is_refused(broker: Arc<TestBroker>) {
    let (probe, authority) = (Probe::new(), Authority::new());
    let peer = TlsPeer::before(&broker, &Authority::new().sign("127.0.0.1"), None).await;
    let report = start_error(app(&broker, &probe, "q", &peer, &authority)).await;
    for part in ["there is no TLS with the AMQP broker", "invalid peer certificate", "amqp.tls.ca"]
    {
        assert!(report.contains(part), "{part}: {report}");
    }
}

async fn a_broker_with_the_certificate_of_another_name_is_refused_unless_that_is_wanted(
    broker: Arc<TestBroker>,
) {
    let (probe, queue, authority) = (Probe::new(), broker.name("q"), Authority::new());
    let peer = TlsPeer::before(&broker, &authority.sign("rabbit.internal"), None).await;
    let report = start_error(app(&broker, &probe, &queue, &peer, &authority)).await;
    assert!(
        report.contains("amqp.tls.server_name") && report.contains("rabbit.internal"),
        "{report}"
    );
    let wanted = app(&broker, &probe, &queue, &peer, &authority);
    let wanted = wanted.config("amqp.tls.server_name", "rabbit.internal").await.expect("starts");
    wanted.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_client_without_the_certificate_that_is_asked_for_is_told(broker: Arc<TestBroker>) {
    let (probe, authority) = (Probe::new(), Authority::new());
    let peer = TlsPeer::before(&broker, &authority.sign("127.0.0.1"), Some(&authority)).await;
    let report = start_error(app(&broker, &probe, "q", &peer, &authority)).await;
    for part in
        ["there is no TLS with the AMQP broker", "CertificateRequired", "amqp.tls.certificate"]
    {
        assert!(report.contains(part), "{part}: {report}");
    }
}

async fn a_client_shows_its_certificate(broker: Arc<TestBroker>) {
    let (probe, queue, authority) = (Probe::new(), broker.name("q"), Authority::new());
    let peer = TlsPeer::before(&broker, &authority.sign("127.0.0.1"), Some(&authority)).await;
    let client = authority.sign("app.internal");
    let app = app(&broker, &probe, &queue, &peer, &authority);
    let app = app.config("amqp.tls.certificate", client.certificate);
    let app = app.config("amqp.tls.key", client.key).await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    amqp.publish("", &queue, &text("hi")).await.expect("confirmed");
    assert_eq!(probe.next().await.text, "hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_port_without_tls_is_told(broker: Arc<TestBroker>) {
    let (probe, authority) = (Probe::new(), Authority::new());
    let url = broker.url().replacen("amqp://", "amqps://", 1);
    let peer = TlsPeer { url, cut: watch::Sender::new(0) };
    let report = start_error(app(&broker, &probe, "q", &peer, &authority)).await;
    assert!(report.contains("there is no TLS with the AMQP broker"), "{report}");
}

async fn a_refusal_by_tls_fails_the_start_in_every_mode(broker: Arc<TestBroker>) {
    let (probe, authority) = (Probe::new(), Authority::new());
    let peer = TlsPeer::before(&broker, &Authority::new().sign("127.0.0.1"), None).await;
    for mode in ["wait", "degraded"] {
        let app = app(&broker, &probe, "q", &peer, &authority).config("amqp.start", mode);
        let report = start_error(app).await;
        assert!(report.contains("invalid peer certificate"), "{mode}: {report}");
    }
}

/// What does not work out is told when the framework is built, before anything is connected to.
#[tokio::test]
async fn settings_for_tls_that_do_not_work_out_name_their_key() {
    let start = |key: &'static str, value: &str| {
        let app = polyport_bootstrap::testing::create_bootstrap(crate::support::bootstrap(
            &Probe::new(),
            |routes| routes,
        ));
        start_error(app.config("amqp.url", "amqps://localhost").config(key, value.to_owned()))
    };
    let missing = start("amqp.heartbeat", "5s").await;
    assert!(missing.contains("amqp.tls.ca is not set"), "{missing}");
    let unread = start("amqp.tls.ca", "nowhere/ca.pem").await;
    assert!(unread.contains("amqp.tls.ca") && unread.contains("nowhere/ca.pem"), "{unread}");
    let empty = start("amqp.tls.ca", "-----BEGIN NOTHING-----").await;
    assert!(empty.contains("amqp.tls.ca"), "{empty}");
}
