//! Types that outside bytes are bound to, and what has to hold for each answer.

#![allow(dead_code, reason = "each target takes a part, and reads no field")]

use std::collections::HashMap;

use garde::Validate;
use http::HeaderMap;
use polyport_bootstrap::operation::{Bind, FilePart, Input, RawInput, Unbound};
use serde::Deserialize;

/// Everything that a type can ask for.
#[derive(Debug, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
#[garde(allow_unvalidated)]
pub struct Anything {
    a: u8,
    #[serde(default)]
    #[garde(inner(length(max = 3)))]
    b: Vec<String>,
    c: Option<f64>,
    #[serde(default)]
    #[garde(dive)]
    d: Vec<Anything>,
    #[serde(default)]
    e: HashMap<u16, Choice>,
    f: Option<FilePart>,
    #[serde(default)]
    #[garde(ascii)]
    long_name: String,
    #[serde(flatten)]
    rest: HashMap<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
enum Choice {
    One,
    Two(u8),
    Three { x: char, y: Box<Option<Choice>> },
}

/// The same from named places.
#[derive(Debug, Input, Validate)]
#[input(crate = polyport_bootstrap)]
#[serde(rename_all = "camelCase")]
#[garde(allow_unvalidated)]
pub struct Placed {
    #[from(path, header = "x-a", cookie = "a")]
    a: u8,
    #[from(query, header = "x-b", body)]
    #[serde(default)]
    #[garde(inner(length(max = 3)))]
    b: Vec<String>,
    #[from(cookie, body, query)]
    long_name: Option<String>,
}

/// Binds; a refusal says what is wrong, within bounds.
pub fn check<T: Bind>(input: &RawInput, metadata: &HeaderMap) {
    let Err(fault) = T::bind(&Unbound::new(input, metadata)) else { return };
    assert!(matches!(fault.status(), 400 | 415), "{fault}");
    let details = fault.details().and_then(|details| details.as_array());
    let told = details.map_or(0, Vec::len);
    assert!((1..=64).contains(&told), "{fault}");
    assert!(fault.message().len() < 64 * 600);
}
