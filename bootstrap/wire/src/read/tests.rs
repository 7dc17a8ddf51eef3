use proptest::prelude::*;
use serde_json::json;

use super::*;

const STYLES: [EnvelopeStyle; 3] =
    [EnvelopeStyle::Plain, EnvelopeStyle::ReturnCode, EnvelopeStyle::CodeMessageData];

fn faults() -> impl Strategy<Value = ReceivedFault> {
    let details =
        proptest::option::of(any::<i32>().prop_map(|number| json!([{ "field": number }])));
    let code = proptest::option::of(prop_oneof![
        any::<String>(),
        any::<i64>().prop_map(|number| number.to_string()),
        Just("SUC00000".to_owned()),
        Just("0".to_owned()),
    ]);
    let kind = proptest::sample::select(FaultKind::ALL.to_vec());
    (kind, any::<String>(), code, any::<String>(), details, "[!-~]{1,40}").prop_map(
        |(kind, reason, code, message, details, id)| ReceivedFault {
            reason,
            code,
            message,
            details,
            request_id: Some(id),
            ..ReceivedFault::new(kind, kind.http_status())
        },
    )
}

fn written(style: EnvelopeStyle, fault: &ReceivedFault) -> Vec<u8> {
    let mut body = Vec::new();
    style.envelope().write_fault(&mut body, &fault.view());
    body
}

/// What a style has room for.
fn expected(style: EnvelopeStyle, fault: &ReceivedFault) -> ReceivedFault {
    let fault = fault.clone();
    let reason = fault.kind.as_str().to_owned();
    match style {
        EnvelopeStyle::Plain => fault,
        EnvelopeStyle::ReturnCode => {
            let derived = derived_code(fault.status);
            let code = fault.code.filter(|code| code != SUCCESS && *code != derived);
            ReceivedFault { reason, code, details: None, request_id: None, ..fault }
        }
        EnvelopeStyle::CodeMessageData => {
            let code = fault.code.filter(|code| code != "10000");
            ReceivedFault { reason, code, ..fault }
        }
    }
}

proptest! {
    #[test]
    fn a_fault_comes_back_as_far_as_its_envelope_has_room(fault in faults()) {
        for style in STYLES {
            let body = written(style, &fault);
            prop_assert_eq!(EnvelopeStyle::of_fault(&body), style);
            let read = style.read(&body, Some(fault.status)).expect_err("a fault");
            prop_assert_eq!(*read, expected(style, &fault), "{:?}", style);
        }
    }

    #[test]
    fn without_a_status_a_code_or_an_event_tells_a_fault(fault in faults()) {
        let plain = EnvelopeStyle::Plain;
        prop_assert_eq!(&plain.read_fault(&written(plain, &fault), None), &fault);
        for style in &STYLES[1..] {
            let body = written(*style, &fault);
            let read = style.read(&body, None).expect_err("a fault");
            prop_assert_eq!(read.message, fault.message.clone());
        }
    }

    #[test]
    fn a_value_comes_back(number in any::<i64>(), text in any::<String>()) {
        for style in STYLES {
            let (value, mut body) = (json!([number, text]), Vec::new());
            let write = &mut |out: &mut Vec<u8>| serde_json::to_writer(out, &value);
            style.envelope().write_value(&mut body, "id", write).expect("JSON");
            let read = style.read(&body, Some(200)).expect("a value");
            prop_assert_eq!(serde_json::from_str::<Value>(read.get()).expect("JSON"), value);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(body in any::<Vec<u8>>(), status in any::<Option<u16>>()) {
        for style in STYLES {
            let _ = style.read(&body, status);
            let _ = style.read_fault(&body, status);
            let _ = EnvelopeStyle::of_fault(&body);
        }
    }
}

#[test]
fn every_kind_comes_back_in_every_style() {
    for (kind, style) in FaultKind::ALL.into_iter().flat_map(|k| STYLES.map(|s| (k, s))) {
        let fault = ReceivedFault::new(kind, kind.http_status());
        let read = style.read_fault(&written(style, &fault), Some(fault.status));
        assert_eq!(read.kind, kind, "{style:?}");
    }
}

#[test]
fn a_code_of_a_status_says_the_kind_where_the_protocol_does_not() {
    let fault = ReceivedFault::new(FaultKind::NotFound, 410);
    let body = written(EnvelopeStyle::ReturnCode, &fault);
    let read = EnvelopeStyle::ReturnCode.read(&body, None).expect_err("a fault");
    assert_eq!((read.kind, read.status, read.code), (FaultKind::NotFound, 410, None));
    let read = EnvelopeStyle::ReturnCode.read(&body, Some(500)).expect_err("a fault");
    assert_eq!((read.status, read.code.as_deref()), (500, Some("ERR41000")));
}

#[test]
fn what_a_proxy_says_is_a_fault_of_its_status() {
    for style in STYLES {
        let read = style.read(b"<h1>Bad Gateway</h1>\n", Some(502)).expect_err("a fault");
        assert_eq!(read.kind, FaultKind::Unavailable);
        assert_eq!(read.message, "<h1>Bad Gateway</h1>");
    }
    let foreign = br#"{"type":"https://example.com/oos","title":"Out of stock"}"#;
    let read = EnvelopeStyle::Plain.read(foreign, Some(409)).expect_err("a fault");
    assert_eq!((read.kind, read.message.as_str()), (FaultKind::AlreadyExists, "Out of stock"));
}

#[test]
fn an_answer_in_another_envelope_is_an_internal_fault_that_says_so() {
    for (style, body) in [
        (EnvelopeStyle::Plain, "hello"),
        (EnvelopeStyle::ReturnCode, "[1]"),
        (EnvelopeStyle::CodeMessageData, r#"{"returnCode":"SUC00000"}"#),
    ] {
        let read = style.read(body.as_bytes(), Some(200)).expect_err("no answer");
        assert_eq!((read.kind, &*read.reason), (FaultKind::Internal, "MALFORMED_ANSWER"));
    }
}
