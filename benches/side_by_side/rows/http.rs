//! HTTP/1.

use super::{Row, Work, at_most, by, no_more_than_in, within};
use crate::{
    load::{Fixed, Speaks},
    servers::http,
};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![get(), form()];
    let ratios = [
        ("http-get-2-cores", "HTTP GET, 64 connections, two cores", 2, 64),
        ("http-get-1000", "HTTP GET, 1,000 connections", 1, 1_000),
        ("http-get-10000", "HTTP GET, 10,000 connections", 1, 10_000),
    ];
    rows.extend(ratios.map(|(name, title, cores, connections)| Row {
        name,
        title,
        cores,
        connections,
        work: Work::Calls(Box::new(user)),
        variants: vec![
            by("http-axum", "axum: by hand"),
            no_more_than_in("http-get", "http-polyport", "polyport: the whole chain"),
        ],
    }));
    rows.push(idle());
    rows
}

fn get() -> Row {
    Row {
        name: "http-get",
        title: "HTTP GET /users?userId=tom, 64 connections",
        cores: 1,
        connections: 64,
        work: Work::Calls(Box::new(user)),
        variants: vec![
            by("http-axum", "axum: by hand"),
            by("http-epoll", "a loop over epoll"),
            by("http-hyper", "hyper: by hand"),
            by("http-axum-careful", "axum: careful, trace off"),
            by("http-axum-careful-log", "axum: careful, trace at info"),
            by("http-actix", "actix-web"),
            by("http-summer", "summer-rs"),
            at_most(1.0, "http-polyport", "polyport: the whole chain"),
            at_most(1.2, "http-polyport-log", "polyport: traffic log at info"),
        ],
    }
}

fn form() -> Row {
    let request = http::form();
    let speak = move || -> Box<dyn Speaks> {
        Box::new(Fixed::http1(request.clone(), r#""characters":7500"#))
    };
    Row {
        name: "http-form",
        title: "HTTP POST of 10 kB with 100 fields, 64 connections",
        cores: 1,
        connections: 64,
        work: Work::Calls(Box::new(speak)),
        variants: vec![
            by("http-axum", "axum: by hand"),
            at_most(1.0, "http-polyport", "polyport: the whole chain"),
        ],
    }
}

fn idle() -> Row {
    Row {
        name: "http-idle",
        title: "HTTP, 5,000 idle connections",
        cores: 1,
        connections: 5_000,
        work: Work::Idle(Box::new(user)),
        variants: vec![
            by("http-axum", "axum: by hand"),
            by("http-http1-only", "axum on hyper, HTTP/1 only"),
            within(12_000.0, "http-polyport", "polyport"),
        ],
    }
}

fn user() -> Box<dyn Speaks> {
    Box::new(Fixed::http1(http::GET.as_bytes().into(), http::USER))
}
