use std::{io, num::ParseIntError, time::Duration};

use http::{HeaderValue, header};
use polyport_wire::{EnvelopeStyle, ReceivedFault};
use serde_json::json;

use super::*;

fn not_a_number() -> ParseIntError {
    "x".parse::<u16>().expect_err("no number")
}

#[test]
fn a_fault_is_one_pointer() {
    assert_eq!(size_of::<Fault>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Fault>>(), size_of::<usize>());
}

#[test]
fn a_source_is_found_by_its_type_however_it_came_in() {
    let faults = [
        Fault::internal(not_a_number()),
        Fault::internal(Error::other("count").caused_by(not_a_number())),
        Fault::from(Error::from(not_a_number()).context("users")),
        Fault::not_found("X", "x").caused_by(not_a_number()),
        Fault::not_found("X", "x").caused_by(io::Error::other(not_a_number())),
    ];
    for fault in faults {
        assert!(fault.find_source::<ParseIntError>().is_some(), "{fault:?}");
        assert!(fault.find_source::<fmt::Error>().is_none(), "{fault:?}");
    }
    assert!(Fault::not_found("X", "x").sources().next().is_none());
}

#[test]
fn the_log_tells_every_cause_once() {
    let fault = Fault::not_found("X", "x").caused_by(io::Error::other(not_a_number()));
    assert_eq!(fault.source_text().as_deref(), Some("invalid digit found in string"));
}

#[test]
fn headers_are_kept_with_all_their_values() {
    let fault = Fault::resource_exhausted("RATE", "slow down");
    assert!(fault.headers().is_empty());
    let challenge = HeaderValue::from_static;
    let fault = fault
        .with_header(header::WWW_AUTHENTICATE, challenge("Basic"))
        .with_header(header::WWW_AUTHENTICATE, challenge("Bearer"))
        .with_retry_after(Duration::from_secs(60))
        .with_retry_after(Duration::from_millis(1500));
    assert_eq!(fault.headers().get_all(header::WWW_AUTHENTICATE).iter().count(), 2);
    assert_eq!(fault.headers()[header::RETRY_AFTER], "2");
    assert_eq!(fault.retry_after(), Some(Duration::from_secs(2)));
    let longest = fault.with_retry_after(Duration::MAX);
    assert_eq!(longest.retry_after(), Some(Duration::from_secs(u64::MAX)));
}

#[test]
fn a_fault_of_every_kind_comes_back_from_the_wire() {
    for kind in FaultKind::ALL {
        let fault = Fault::new(kind, "REASON", "what happened")
            .with_code("4711")
            .with_details(json!([{ "field": "a" }]));
        let mut body = Vec::new();
        EnvelopeStyle::Plain.envelope().write_fault(&mut body, &fault.view("id-1"));
        let received = EnvelopeStyle::Plain.read(&body, Some(fault.status())).expect_err("a fault");
        let back = Fault::from_received(*received);
        assert_eq!((back.kind(), back.status()), (kind, fault.status()));
        assert_eq!((back.reason(), back.code()), ("REASON", Some("4711")));
        assert_eq!((back.message(), back.details()), (fault.message(), fault.details()));
        let id = back.find_source::<ReceivedFault>().and_then(|peer| peer.request_id.as_deref());
        assert_eq!(id, Some("id-1"));
    }
}
