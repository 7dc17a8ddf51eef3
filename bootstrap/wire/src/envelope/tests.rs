use super::*;

fn value(envelope: &dyn Envelope) -> String {
    let mut out = Vec::new();
    envelope
        .write_value(&mut out, "id-1", &mut |out| serde_json::to_writer(out, &[1, 2]))
        .expect("plain numbers");
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn fault(envelope: &dyn Envelope, code: Option<&str>) -> String {
    let mut out = Vec::new();
    envelope.write_fault(
        &mut out,
        &FaultView {
            kind: FaultKind::NotFound,
            status: 404,
            reason: "USER_NOT_FOUND",
            code,
            message: "no \"such\" user",
            details: None,
            request_id: "id-1",
        },
    );
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn plain_is_the_value_or_problem_details() {
    assert_eq!(value(&Plain), "[1,2]");
    assert_eq!(
        fault(&Plain, None),
        r#"{"title":"NOT_FOUND","status":404,"detail":"no \"such\" user","reason":"USER_NOT_FOUND","request_id":"id-1"}"#,
    );
}

#[test]
fn return_code_derives_a_faults_code_from_its_status() {
    assert_eq!(value(&ReturnCode), r#"{"returnCode":"SUC00000","data":[1,2]}"#);
    assert_eq!(
        fault(&ReturnCode, None),
        r#"{"returnCode":"ERR40400","errorMessage":"no \"such\" user"}"#,
    );
    assert_eq!(
        fault(&ReturnCode, Some("ERR1")),
        r#"{"returnCode":"ERR1","errorMessage":"no \"such\" user"}"#,
    );
}

#[test]
fn code_message_data_numbers_its_faults() {
    assert_eq!(
        value(&CodeMessageData),
        r#"{"code":0,"message":"","data":[1,2],"request_id":"id-1"}"#,
    );
    assert_eq!(
        fault(&CodeMessageData, None),
        r#"{"code":10000,"message":"no \"such\" user","data":null,"request_id":"id-1"}"#,
    );
    assert!(fault(&CodeMessageData, Some("20001")).starts_with(r#"{"code":20001,"#));
}

#[test]
fn no_code_makes_a_fault_look_like_a_success_or_like_another_code() {
    assert!(fault(&ReturnCode, Some("SUC00000")).starts_with(r#"{"returnCode":"ERR40400","#));
    for code in ["0", "007", "+5", "-0"] {
        let written = format!(r#"{{"code":"{code}","#);
        assert!(fault(&CodeMessageData, Some(code)).starts_with(&written));
    }
}
