//! What must hold whatever stands in files and variables: nothing panics, nothing hangs, and no
//! secret is printed. The fuzzer (`fuzz/`) and the property tests share this file.

use std::{fmt::Debug, fs, path::Path};

use super::{ConfigBuilder, Environment, Error};

/// What nobody may print.
const SECRET: &str = "hunter2-xyzzy";

/// How many kinds of input there are.
pub(crate) const KINDS: u8 = 10;

/// Checks `input`, as a kind of file or variable, beside a secret. `folder` is for this call alone.
///
/// # Panics
/// It does harm.
pub(crate) fn check(folder: &Path, kind: u8, input: &str) {
    if input.contains(&SECRET[..7]) {
        return;
    }
    let mut builder = ConfigBuilder::new(Environment::unittest(), folder).variables([
        ("DB_PASSWORD", SECRET),
        ("HOME", "/home/tom"),
        ("POLYPORT__VAULT__TOKEN", SECRET),
    ]);
    match file(kind % KINDS, input) {
        Some((ending, text)) => write(folder, ending, &text),
        None if kind.is_multiple_of(2) => builder = builder.variables([("POLYPORT__A__B", input)]),
        None => builder = builder.variables([(format!("POLYPORT__{input}"), input)]),
    }
    match builder.build() {
        Ok(config) => {
            let keys = keys(&config.snapshot());
            show(&config.snapshot());
            show(&config.get::<()>(""));
            for key in &keys {
                show(&(config.explain(key), config.get::<u8>(key).err()));
            }
        }
        Err(error) => show::<Error>(&error),
    }
    for ending in ["toml", "yaml", "json"] {
        let _ = fs::remove_file(folder.join(format!("config/config.default.{ending}")));
    }
}

/// The ending and the text of a file of this kind, with a secret before or behind the input.
fn file(kind: u8, input: &str) -> Option<(&'static str, String)> {
    Some(match kind {
        0 => ("toml", input.to_owned()),
        1 => ("toml", format!("password = \"{SECRET}\"\n{input}")),
        2 => ("toml", format!("{input}\npassword = \"{SECRET}\"\n")),
        3 => ("yaml", input.to_owned()),
        4 => ("yaml", format!("password: {SECRET}\n{input}")),
        5 => ("yaml", format!("{input}\npassword: {SECRET}\n")),
        6 => ("json", format!("{{\"password\":\"{SECRET}\",{input}")),
        7 => ("json", format!("{input},\"password\":\"{SECRET}\"}}")),
        _ => return None,
    })
}

fn write(folder: &Path, ending: &str, text: &str) {
    let folder = folder.join("config");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(format!("config.default.{ending}")), text).expect("a file");
}

fn keys(value: &serde_json::Value) -> Vec<String> {
    let Some(table) = value.as_object() else { return Vec::new() };
    let below = table.iter().flat_map(|(key, value)| {
        let below = keys(value).into_iter().map(move |below| format!("{key}.{below}"));
        std::iter::once(key.clone()).chain(below)
    });
    below.take(50).collect()
}

fn show<T: Debug>(shown: &T) {
    let shown = format!("{shown:?}");
    assert!(!shown.contains(SECRET), "{shown}");
}
