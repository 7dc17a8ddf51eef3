//! Laws of merging, over trees in which a key always holds the same kind of value.

use std::collections::BTreeMap;

use figment::value::Value;
use proptest::prelude::*;

use super::*;
use crate::config::{
    layers::{Basis, Entry, Layers},
    tree,
};

/// Tables under `t…`, arrays under `a…`, scalars (or null) under `s…`.
fn table() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![any::<i8>().prop_map(Json::from), Just(Json::Null), Just(json!("x"))];
    let flat = prop::collection::btree_map("s[0-2]", scalar, 0..4);
    let arrays = prop::collection::btree_map("a[0-2]", prop::collection::vec(0..9_u8, 0..3), 0..2);
    let leaf = (flat, arrays).prop_map(|(scalars, arrays)| {
        let arrays = arrays.into_iter().map(|(key, items)| (key, json!(items)));
        Json::Object(scalars.into_iter().chain(arrays).collect())
    });
    leaf.prop_recursive(3, 24, 3, |inner| {
        let tables = prop::collection::btree_map("t[0-2]", inner.clone(), 0..3);
        (inner, tables).prop_map(|(mut table, tables)| {
            table.as_object_mut().unwrap().extend(tables);
            table
        })
    })
}

fn raw(value: &Json) -> Value {
    tree::from_object(value).unwrap()
}

fn merged(below: &Value, above: &Value) -> Value {
    let mut below = below.clone();
    tree::merge(&mut below, above);
    below
}

fn leaves(value: &Json, path: Vec<String>, found: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(table) => table.iter().for_each(|(key, value)| {
            leaves(value, [path.clone(), vec![key.clone()]].concat(), found);
        }),
        value => drop(found.insert(path.join("."), value.clone())),
    }
}

proptest! {
    #[test]
    fn merging_is_associative(a in table(), b in table(), c in table()) {
        let (a, b, c) = (raw(&a), raw(&b), raw(&c));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn merging_twice_or_with_nothing_changes_nothing(a in table(), b in table()) {
        let (a, b) = (raw(&a), raw(&b));
        let once = merged(&a, &b);
        prop_assert_eq!(&merged(&once, &b), &once);
        prop_assert_eq!(&merged(&a, &tree::empty()), &a);
        prop_assert_eq!(&merged(&tree::empty(), &a), &a);
    }

    #[test]
    fn every_leaf_names_the_last_layer_that_set_it(tables in prop::collection::vec(table(), 1..6)) {
        let mut expected = BTreeMap::new();
        for (at, table) in tables.iter().enumerate() {
            let mut found = BTreeMap::new();
            leaves(table, Vec::new(), &mut found);
            expected.extend(found.into_iter().map(|(key, value)| (key, (at, value))));
        }
        let entries = tables.iter().enumerate();
        let entries = entries.map(|(at, table)| Entry::named(Layer::Hook, at.to_string(), raw(table)));
        let (layers, faults) = Layers::new(entries.collect(), WillLoad::default(), Basis::bare());
        prop_assert!(faults.is_empty());
        let mut all = BTreeMap::new();
        leaves(&layers.masked::<&str>(&[]), Vec::new(), &mut all);
        all.retain(|_, value| !value.is_object());
        prop_assert_eq!(all.len(), expected.len());
        for (key, (at, value)) in expected {
            let provenance = layers.explain(&tree::segments(&key)).unwrap();
            prop_assert_eq!(provenance.winner().source(), at.to_string());
            prop_assert_eq!(provenance.winner().value(), &value);
            prop_assert_eq!(all.get(&key), Some(&value));
            prop_assert!(provenance.losers().iter().all(|loser| loser.source() < provenance.winner().source()));
        }
    }

    #[test]
    fn nothing_that_is_read_panics_or_shows_a_secret(kind in 0..harmless::KINDS, input in input()) {
        harmless::check(Folder::new(&[]).path(), kind, &input);
    }

    #[test]
    fn what_is_filled_in_is_not_read_for_references_again(
        values in prop::collection::btree_map("[a-d]", "[a$x]{0,3}", 1..4),
    ) {
        let mut tree = json!({});
        for (key, value) in &values {
            tree[key] = json!(format!("$${{{value}"));
            tree[format!("r_{key}")] = json!(format!("<${{{key}}}>"));
        }
        let config = Folder::new(&[]).builder().module_defaults("m", &tree).build().unwrap();
        for (key, value) in values {
            let filled = config.get::<String>(&format!("r_{key}")).unwrap();
            prop_assert_eq!(filled, format!("<${{{value}>"));
        }
    }
}

/// Pieces of all the formats, in any order.
fn input() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "a",
        "b",
        "http",
        "port",
        "password",
        "token",
        "1",
        "-7",
        "1.5",
        "0x1f",
        "true",
        "null",
        "~",
        "\n",
        "\n",
        "  ",
        " ",
        "\t",
        " = ",
        ": ",
        ":",
        "=",
        ".",
        ",",
        "- ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "\\",
        "\\u00",
        "#",
        "|\n",
        ">-\n",
        "&x ",
        "*x",
        "!!int ",
        "!!str ",
        "!t ",
        "<<: ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "${",
        "${a}",
        "${password}",
        "${vault.token}",
        "${env:DB_PASSWORD}",
        "${env:HOME}",
        ":-",
        "$${",
        "${vault}",
        "@",
        "://",
        "amqp://u:p@h",
        "[[",
        "]]",
        "[a]\n",
        "[a.b]\n",
        "1979-05-27",
        "\0",
        "ü",
        "\r\n",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => "\\PC{1,3}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}
