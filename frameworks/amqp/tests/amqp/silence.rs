//! A consumer that gets nothing although messages wait.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use polyport_amqp::Delivery;
use polyport_bootstrap::{
    Fault, Health, HealthStatus,
    operation::{Inject, Input},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    time::timeout,
};

use crate::support::{LIMIT, Probe, TestBroker, Text, text};

on_both_brokers! {
    a_consumer_that_gets_nothing_while_messages_wait_is_told_and_started_again,
}

/// A way to the broker on which deliveries can get lost, and nothing else.
struct Mute {
    port: u16,
    is_mute: Arc<AtomicBool>,
}

impl Mute {
    async fn before(broker: &TestBroker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (is_mute, to) = (Arc::new(AtomicBool::new(false)), broker.proxy.port);
        let mute = Arc::clone(&is_mute);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, to, Arc::clone(&mute)));
            }
        });
        Self { port, is_mute }
    }

    fn set(&self, is_mute: bool) {
        self.is_mute.store(is_mute, Ordering::SeqCst);
    }
}

async fn pass(client: TcpStream, to: u16, is_mute: Arc<AtomicBool>) {
    let Ok(broker) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let mut dropped = Dropped::default();
    let back = async {
        while let Some(frame) = frame(&mut from_broker).await {
            if !dropped.is(&frame, is_mute.load(Ordering::SeqCst))
                && to_client.write_all(&frame).await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        _ = copy(&mut from_client, &mut to_broker) => {}
        () = back => {}
    }
}

/// A whole frame (AMQP 0-9-1, section 2.3.5).
async fn frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; 7];
    from.read_exact(&mut frame).await.ok()?;
    let size = u32::from_be_bytes(frame[3..].try_into().expect("four bytes"));
    frame.resize(7 + usize::try_from(size).expect("it fits") + 1, 0);
    from.read_exact(&mut frame[7..]).await.ok()?;
    Some(frame)
}

/// By channel: how much of a delivery that gets lost is still to come.
#[derive(Default)]
struct Dropped(HashMap<[u8; 2], Option<u64>>);

impl Dropped {
    fn is(&mut self, frame: &[u8], is_mute: bool) -> bool {
        const DELIVER: [u8; 4] = [0, 60, 0, 60];
        let (kind, channel) = (frame[0], [frame[1], frame[2]]);
        let payload = &frame[7..frame.len() - 1];
        let left = match (kind, self.0.get(&channel).copied()) {
            (1, _) if is_mute && payload.starts_with(&DELIVER) => None,
            (2, Some(None)) => {
                Some(u64::from_be_bytes(payload[4..12].try_into().expect("eight bytes")))
            }
            (3, Some(Some(left))) => Some(left - u64::try_from(payload.len()).expect("it fits")),
            _ => return false,
        };
        match left {
            Some(0) => self.0.remove(&channel),
            left => self.0.insert(channel, left),
        };
        true
    }
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

async fn a_consumer_that_gets_nothing_while_messages_wait_is_told_and_started_again(
    broker: Arc<TestBroker>,
) {
    let (probe, queue, mute) = (Probe::new(), broker.name("q"), Mute::before(&broker).await);
    let consumed = queue.clone();
    let own = format!("127.0.0.1:{}", broker.proxy.port);
    let url = broker.url().replace(&own, &format!("127.0.0.1:{}", mute.port));
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.config("amqp.url", url).config("amqp.prefetch", 1);
    let app = app.config("amqp.watch_interval", "100ms").await.expect("starts");
    let health = app.container().get::<Health>().await.expect("provided");
    broker.client.publish("", &queue, &text("before")).await;
    assert_eq!(probe.next().await.text, "before");
    mute.set(true);
    for number in 0..3 {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    let mut changes = health.watch();
    let told = async {
        while health.readiness().status != HealthStatus::Degraded {
            changes.changed().await;
        }
    };
    timeout(LIMIT, told).await.expect("nobody notices");
    let readiness = health.readiness();
    let reason = readiness.reason.expect("a reason");
    assert!(readiness.ready && reason.contains(&queue), "{reason}");
    assert!(probe.rest().await.is_empty(), "nothing was delivered");
    mute.set(false);
    for number in 0..3 {
        assert_eq!(probe.next().await.text, number.to_string());
    }
    let well = async {
        while health.readiness().status != HealthStatus::Up {
            changes.changed().await;
        }
    };
    timeout(LIMIT, well).await.expect("it is well again");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}
