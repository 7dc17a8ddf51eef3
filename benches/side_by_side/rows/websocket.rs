//! WebSocket.

use super::{Row, Work, at_most, by, within};
use crate::{
    load::{Fixed, Speaks},
    servers::websocket,
};

pub(super) fn rows() -> Vec<Row> {
    vec![event(), idle()]
}

fn event() -> Row {
    Row {
        name: "websocket-event",
        title: "WebSocket, an event with its ack, 64 connections",
        cores: 1,
        connections: 64,
        work: Work::Calls(Box::new(say)),
        variants: vec![
            by("websocket-tungstenite", "tokio-tungstenite: by hand"),
            by("websocket-tungstenite-small", "tokio-tungstenite: small buffers"),
            by("websocket-axum", "axum: by hand"),
            by("websocket-fastwebsockets", "fastwebsockets: by hand"),
            at_most(0.85, "websocket-polyport", "polyport: the whole chain"),
        ],
    }
}

fn idle() -> Row {
    Row {
        name: "websocket-idle",
        title: "WebSocket, 5,000 idle connections",
        cores: 1,
        connections: 5_000,
        work: Work::Idle(Box::new(say)),
        variants: vec![
            by("websocket-tungstenite", "tokio-tungstenite: by hand"),
            by("websocket-tungstenite-small", "tokio-tungstenite: small buffers"),
            by("websocket-axum", "axum: by hand"),
            within(4_000.0, "websocket-polyport", "polyport"),
        ],
    }
}

fn say() -> Box<dyn Speaks> {
    Box::new(Fixed::websocket(websocket::event(), websocket::ACK))
}
