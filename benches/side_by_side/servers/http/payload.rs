//! What is sent and answered.

use std::sync::Arc;

use garde::Validate;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetUser {
    #[garde(length(min = 1, max = 64))]
    pub(super) user_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    user_id: String,
    username: &'static str,
    age: u32,
}

/// The user of that id.
pub(super) fn user(user_id: String) -> User {
    User { user_id, username: "Tom", age: 10 }
}

/// The envelope, by hand.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<T> {
    return_code: &'static str,
    data: T,
}

impl<T> Envelope<T> {
    pub(super) fn of(data: T) -> Self {
        Self { return_code: "SUC00000", data }
    }
}

/// A hundred fields, ten of each of ten groups.
#[derive(Serialize, Deserialize, Validate)]
pub(super) struct Form {
    #[garde(dive)]
    a: Group,
    #[garde(dive)]
    b: Group,
    #[garde(dive)]
    c: Group,
    #[garde(dive)]
    d: Group,
    #[garde(dive)]
    e: Group,
    #[garde(dive)]
    f: Group,
    #[garde(dive)]
    g: Group,
    #[garde(dive)]
    h: Group,
    #[garde(dive)]
    i: Group,
    #[garde(dive)]
    j: Group,
}

#[derive(Clone, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Group {
    #[garde(length(max = 200))]
    first_name: String,
    #[garde(length(max = 200))]
    last_name: String,
    #[garde(length(max = 200))]
    street: String,
    #[garde(length(max = 200))]
    city: String,
    #[garde(length(max = 200))]
    country: String,
    #[garde(range(max = 1_000_000))]
    postal_code: u32,
    #[garde(range(max = 200))]
    age: u8,
    #[garde(skip)]
    is_active: bool,
    #[garde(skip)]
    balance: f64,
    #[garde(length(max = 2000))]
    notes: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filed {
    characters: usize,
}

impl Form {
    pub(super) fn filed(&self) -> Filed {
        let groups = [
            &self.a, &self.b, &self.c, &self.d, &self.e, &self.f, &self.g, &self.h, &self.i,
            &self.j,
        ];
        Filed { characters: groups.iter().map(|group| group.notes.len()).sum() }
    }
}

/// A request of 10 kB with a hundred fields. What its answer holds is `"characters":7500`.
pub(crate) fn form() -> Arc<[u8]> {
    let group = Group {
        first_name: "Wilhelmina".to_owned(),
        last_name: "Abercrombie".to_owned(),
        street: "221 Upper Thames Street".to_owned(),
        city: "Stratford-upon-Avon".to_owned(),
        country: "United Kingdom".to_owned(),
        postal_code: 37_620,
        age: 41,
        is_active: true,
        balance: 1234.56,
        notes: "All of it is ordinary text. ".repeat(27)[..750].to_owned(),
    };
    let g = || group.clone();
    let form =
        Form { a: g(), b: g(), c: g(), d: g(), e: g(), f: g(), g: g(), h: g(), i: g(), j: g() };
    let body = serde_json::to_string(&form).unwrap_or_default();
    let head = format!(
        "POST /forms HTTP/1.1\r\nHost: localhost\r\nUser-Agent: load\r\n\
         Authorization: Bearer x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes().into()
}
