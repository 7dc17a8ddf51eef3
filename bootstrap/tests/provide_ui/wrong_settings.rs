extern crate polyport_bootstrap as polyport;

use polyport::Settings;

#[derive(Default, serde::Deserialize, Settings)]
#[settings("users")]
struct WithoutDefault {
    size: u8,
}

#[derive(Default, serde::Deserialize, Settings)]
#[serde(default)]
struct WithoutKey {
    size: u8,
}

#[derive(Default, serde::Deserialize, Settings)]
#[serde(default)]
#[settings("")]
struct WithEmptyKey {
    size: u8,
}

#[derive(Settings)]
#[settings("users")]
enum NotAStruct {
    One,
}

fn main() {}
