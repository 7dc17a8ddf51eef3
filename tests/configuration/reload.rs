//! Reloads of a whole program: by signal, and under load.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use polyport::{
    Settings,
    prelude::*,
    testing::{HttpTest as _, create_bootstrap},
};
use serde::Deserialize;

use crate::support::Folder;

const FILE: &str = "config.local.toml";

#[tokio::test]
async fn the_log_level_is_live() {
    let folder = Folder::new(&[]);
    let mut program = folder.start("remote_config", &[]);
    let revision = async |program: &crate::support::Program| {
        let reply = program.http().get("/greeting?name=tom").await;
        let reply: serde_json::Value = reply.json();
        reply["data"]["revision"].as_u64().or(reply["revision"].as_u64()).expect("is there")
    };
    // Nothing is said about the first two reloads: from the first one on, `info` is too low.
    folder.write(FILE, "[log]\nlevel = \"warn\"\n");
    for wanted in [2, 3] {
        program.signal("-HUP");
        let reloaded = async {
            while revision(&program).await != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reloaded).await.expect("is reloaded");
    }
    folder.write(FILE, "[log]\nlevel = \"info\"\n");
    program.signal("-HUP");
    program.expect("configuration reloaded");
    assert!(program.said().contains("revision: 3 → 4"), "{}", program.said());
    assert!(!program.said().contains("revision: 1 → 2"), "{}", program.said());
    assert_eq!(program.said().matches("configuration reloaded").count(), 1);
    program.stop();
}

#[tokio::test]
async fn what_is_bad_is_reported_and_the_old_one_stays_until_it_is_mended() {
    let folder = Folder::new(&[(FILE, "[greeting]\nword = \"Hi\"\n")]);
    let mut program = folder.start("remote_config", &[("POLYPORT__CENTER__DOWN", "false")]);
    folder.write(FILE, "[shutdown]\ndrain = \"soon\"\n");
    program.signal("-HUP");
    let report = program.expect("the old configuration stays");
    assert!(report.contains("config/config.local.toml:2"), "{report}");
    assert_eq!(program.http().get("/greeting?name=tom").await.status(), 200);
    folder.write(FILE, "[shutdown]\ndrain = \"9s\"\n");
    program.signal("-HUP");
    let change = program.expect("shutdown.drain");
    assert!(change.contains("needs a restart"), "{change}");
    program.expect("configuration reloaded");
    program.stop();
}

macro_rules! section {
    ($name:ident, $key:literal) => {
        #[derive(Debug, Default, Deserialize, garde::Validate, Settings)]
        #[serde(default)]
        #[settings($key)]
        struct $name {
            #[garde(skip)]
            revision: u32,
        }
    };
}

section!(First, "first");
section!(Second, "second");

/// All that a call can see of the configuration: the same revision everywhere.
async fn look(
    first: Settings<First>,
    Ctx(context): Ctx,
    second: Settings<Second>,
) -> Result<String> {
    let before = first.get().revision;
    tokio::time::sleep(Duration::from_micros(u64::from(before) % 300)).await;
    let again = context.settings::<First>().await?;
    let seen = [before, second.get().revision, again.get().revision, first.get().revision];
    Ok(format!("{seen:?}"))
}

fn both(revision: u32) -> String {
    format!("[first]\nrevision = {revision}\n[second]\nrevision = {revision}\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_sees_half_of_a_change() {
    const FILE: &str = "config.unittest.toml";
    let folder = Folder::new(&[(FILE, &both(1))]);
    let looks = module("looks", |m| {
        m.settings::<First>().settings::<Second>().http(|r| r.get("/look", look));
        Ok(())
    });
    let bootstrap = Bootstrap::new().load(HttpFramework::new()).module(looks);
    let test = create_bootstrap(bootstrap).root(folder.path()).variables::<&str, &str>([]);
    let app = test.config("http.envelope", "plain").await.expect("starts");
    let is_over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (http, is_over) = (app.http(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut seen = BTreeSet::new();
                while !is_over.load(Ordering::Relaxed) {
                    seen.insert(http.get("/look").await.json::<String>());
                }
                seen
            })
        })
        .collect();
    for revision in 2..=200 {
        folder.write(FILE, &both(revision));
        app.reloader().reload().await.expect("is good");
    }
    is_over.store(true, Ordering::Relaxed);
    let mut seen = BTreeSet::new();
    for client in clients {
        seen.extend(client.await.expect("no request fails"));
    }
    let whole: BTreeSet<_> = (1..=200).map(|revision| format!("{:?}", [revision; 4])).collect();
    assert!(seen.is_subset(&whole), "{:?}", seen.difference(&whole).collect::<Vec<_>>());
    assert!(seen.len() > 10, "the load has met reloads: {}", seen.len());
    app.close().await.expect("stops");
}
