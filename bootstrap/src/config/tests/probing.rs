//! What a type is found to look like without any configuration.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;

use crate::config::{Secret, probe::shape_of, secrets::Pattern};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Root {
    #[serde(with = "humantime_serde")]
    picky: Duration,
    pin: Option<Secret<String>>,
    peers: Vec<Peer>,
    by_name: HashMap<u8, Peer>,
    again: Option<Box<Root>>,
    login: Login,
    both: Option<Both>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only read")]
struct Peer {
    host: std::net::IpAddr,
    #[serde(rename = "pass")]
    word: Secret<String>,
}

#[derive(Default, Deserialize)]
#[expect(dead_code, reason = "only read")]
enum Login {
    With {
        phrase: Secret<String>,
    },
    #[default]
    Without,
    At(Picky),
    Code(Secret<u32>),
    Pair(u8, Key),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only read")]
struct Picky {
    host: std::net::IpAddr,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only read")]
enum Key {
    None,
    Shared(Secret<String>),
    Own { left: Secret<String> },
}

/// Without an end, were only the first variant looked at.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only read")]
enum Both {
    Of(Box<Both>, Box<Both>),
    One(Secret<String>),
}

fn pattern(path: &str) -> Pattern {
    path.split('.').map(|part| (part != "*").then(|| part.to_owned())).collect()
}

#[test]
fn secrets_are_found_behind_whatever_refuses_to_be_read() {
    let shape = shape_of::<Root>();
    for path in [
        "pin",
        "peers.*.pass",
        "by_name.*.pass",
        "again.pin",
        "login.With.phrase",
        "login.Code",
        "login.Pair.*.Shared",
        "login.Pair.*.Own.left",
        "both.One",
        "both.Of.*.One",
    ] {
        assert!(shape.secrets.contains(&pattern(path)), "{path}: {:?}", shape.secrets);
    }
    assert!(!shape.secrets.contains(&pattern("peers.*.host")));
}

#[test]
fn structs_tell_their_keys_as_files_have_them() {
    let shape = shape_of::<Root>();
    assert_eq!(shape.fields[&pattern("peers.*")], ["host", "pass"]);
}
