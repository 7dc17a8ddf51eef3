//! A cluster that loses the node on which a queue is led.

use crate::{
    faults::blocking,
    is_asked_for,
    load::{Load, QUORUM},
    rabbitmq::Cluster,
    rounds,
};

/// A node that is killed a second time within minutes has been seen to leave a quorum queue without a
/// leader for good (RabbitMQ 3.10): what it writes behind is not on disk yet.
const MOST: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_three_nodes_that_loses_the_leader_of_a_queue_loses_nothing() {
    // Not each time: RabbitMQ's own nodes do not always find a leader again within a minute.
    if !is_asked_for() {
        return eprintln!("left out: a cluster is tried where POLYPORT_TEST_ROUNDS is set");
    }
    let Some(mut cluster) = blocking!(Cluster::start()) else { return };
    let load = Load::start(&cluster.urls(), &[QUORUM]).await;
    load.until_served().await;
    for (number, node) in cluster.nodes.iter().enumerate() {
        blocking!(cluster.until_member(QUORUM, number));
        node.until_kept(QUORUM).await;
    }
    let mut asked = 0;
    let rounds = rounds().min(MOST);
    for round in 1..=rounds {
        let leader = blocking!(cluster.leader_of(QUORUM, asked));
        cluster.nodes[leader].kill();
        // The other two go on.
        load.until_served().await;
        blocking!(cluster.nodes[leader].restart());
        blocking!(cluster.until_member(QUORUM, leader));
        cluster.nodes[leader].until_kept(QUORUM).await;
        asked = (leader + 1) % cluster.nodes.len();
        load.until_served().await;
        eprintln!("leader killed, round {round}: {}", load.ledger.figures());
    }
    load.finish(&format!("{rounds} × leader killed, three nodes")).await;
}
