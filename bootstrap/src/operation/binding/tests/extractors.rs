//! Single parts of an input as arguments.

use std::{collections::HashMap, sync::Arc};

use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::*;
use crate::{
    container::ContainerBuilder,
    operation::{
        Body, Call, Context, Cookie, FromContext, Header, InputSlot, OperationInfo, Path, Protocol,
        Query,
    },
};

fn context(input: RawInput, metadata: &[(&'static str, &[u8])]) -> Context {
    let container = ContainerBuilder::new().build().expect("is complete");
    let info = Arc::new(OperationInfo::of::<fn()>());
    let mut call = Call::new(Protocol::new("test"), info, container);
    call.input = input;
    call.metadata = metadata
        .iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_bytes(value).expect("is a header");
            (HeaderName::from_static(name), value)
        })
        .collect::<HeaderMap>();
    Context::new(call)
}

fn extract<T: FromContext>(context: &Context) -> Result<T, Fault> {
    let mut nothing = None::<()>;
    let mut slot = InputSlot::new(&mut nothing);
    let extracted = T::from_context(context, &mut slot).now_or_never();
    extracted.expect("waits for nothing")
}

fn message<T: FromContext>(context: &Context) -> String {
    let Err(fault) = extract::<T>(context) else { panic!("must not extract") };
    assert_eq!((fault.status(), fault.reason()), (400, "INVALID_INPUT"));
    fault.message().to_owned()
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    room_name: String,
    id: u64,
}

#[test]
fn parameters_are_taken_by_name_by_position_or_alone() {
    let two = context(input(&[("roomName", "lobby"), ("id", "7")], "", ""), &[]);
    let Path(message) = extract::<Path<Message>>(&two).expect("extracts");
    assert_eq!(message, Message { room_name: "lobby".to_owned(), id: 7 });
    let Path((room, id)) = extract::<Path<(String, u64)>>(&two).expect("extracts");
    assert_eq!((room.as_str(), id), ("lobby", 7));
    let Path(all) = extract::<Path<HashMap<String, String>>>(&two).expect("extracts");
    assert_eq!(all["id"], "7");
    let one = context(input(&[("id", "7")], "", ""), &[]);
    assert_eq!(extract::<Path<u64>>(&one).expect("extracts").0, 7);
    assert_eq!(extract::<Path<(u8,)>>(&one).expect("extracts").0, (7,));
}

#[test]
fn faults_of_parameters_name_them() {
    let wrong = context(input(&[("id", "x")], "", ""), &[]);
    assert_eq!(
        message::<Path<Message>>(&wrong),
        "id: invalid value: string \"x\", expected u64; roomName: is required",
    );
    assert_eq!(message::<Path<u64>>(&wrong), "invalid value: string \"x\", expected u64",);
    let two = context(input(&[("a", "1"), ("b", "2")], "", ""), &[]);
    assert!(message::<Path<u64>>(&two).contains("the route has 2 parameters"));
}

#[derive(Debug, PartialEq, Deserialize)]
struct Page {
    #[serde(default)]
    size: u32,
    tags: Vec<String>,
    after: Option<u64>,
}

#[test]
fn a_query_is_taken_by_name_with_all_of_its_faults() {
    let given = context(input(&[], "?tags=a&tags=b&after=9", ""), &[]);
    let Query(page) = extract::<Query<Page>>(&given).expect("extracts");
    assert_eq!(page.tags, ["a", "b"]);
    assert_eq!((page.size, page.after), (0, Some(9)));
    let wrong = context(input(&[], "?size=x&after=1&after=2", ""), &[]);
    assert_eq!(
        message::<Query<Page>>(&wrong),
        "size: invalid value: string \"x\", expected u32; after: given more than once; \
         tags: is required",
    );
    let none = context(json(""), &[]);
    assert_eq!(extract::<Query<Option<Page>>>(&none).expect("extracts").0, None);
}

#[derive(Debug, PartialEq, Deserialize)]
struct Caller {
    x_user: String,
    x_level: Option<u8>,
    #[serde(default)]
    x_role: Vec<String>,
}

#[test]
fn headers_are_taken_by_the_names_of_fields() {
    let given: [(&str, &[u8]); 3] = [("x-user", b"tom"), ("x-role", b"a,b"), ("x-role", b"c")];
    let Header(caller) = extract::<Header<Caller>>(&context(json(""), &given)).expect("extracts");
    assert_eq!((caller.x_user.as_str(), caller.x_level), ("tom", None));
    assert_eq!(caller.x_role, ["a,b", "c"], "a line is a value");
    let Header(all) = extract::<Header<HashMap<String, Vec<String>>>>(&context(json(""), &given))
        .expect("extracts");
    assert_eq!(all["x-role"], ["a,b", "c"]);
}

#[test]
fn faults_of_headers_name_them_as_the_client_does() {
    let given: [(&str, &[u8]); 1] = [("x-level", b"300")];
    assert_eq!(
        message::<Header<Caller>>(&context(json(""), &given)),
        "x-level: invalid value: string \"300\", expected u8; x-user: is required",
    );
    let given: [(&str, &[u8]); 1] = [("x-user", b"\xff")];
    assert_eq!(
        message::<Header<Caller>>(&context(json(""), &given)),
        "x-user: the value is not UTF-8",
    );
}

#[test]
fn cookies_are_taken_by_name_and_the_first_counts() {
    #[derive(Debug, Deserialize)]
    struct Session {
        sid: String,
        visits: Option<u32>,
    }
    let given: [(&str, &[u8]); 2] = [("cookie", b"sid=\"a b\"; sid=c"), ("cookie", b"visits=3")];
    let Cookie(session) = extract::<Cookie<Session>>(&context(json(""), &given)).expect("extracts");
    assert_eq!((session.sid.as_str(), session.visits), ("a b", Some(3)));
    let given: [(&str, &[u8]); 1] = [("cookie", b"visits=many")];
    assert_eq!(
        message::<Cookie<Session>>(&context(json(""), &given)),
        "visits: invalid value: string \"many\", expected u32; sid: is required",
    );
}

#[test]
fn a_body_is_its_bytes() {
    let Body(bytes) = extract::<Body>(&context(json("not JSON"), &[])).expect("extracts");
    assert_eq!(&*bytes, b"not JSON");
}
