//! `#[derive(Fault)]` as an application uses it, and what it refuses.

extern crate polyport_bootstrap as polyport;

use std::{error::Error as _, io};

use polyport::{Fault, FaultKind};

macro_rules! every_kind {
    ($($word:ident $kind:ident;)*) => {
        #[derive(Debug, Fault)]
        enum EveryKind {
            $(#[fault($word, message = "it")] $kind,)*
        }

        #[test]
        fn every_kind_is_a_word() {
            let faults = [$((EveryKind::$kind, FaultKind::$kind, stringify!($word)),)*];
            assert_eq!(faults.len(), FaultKind::ALL.len());
            for (error, kind, word) in faults {
                let fault = Fault::from(error);
                assert_eq!((fault.kind(), fault.status()), (kind, kind.http_status()));
                assert_eq!((fault.reason(), &*word.to_uppercase()), (kind.as_str(), kind.as_str()));
            }
        }
    };
}

every_kind! {
    invalid_argument InvalidArgument;
    unauthenticated Unauthenticated;
    permission_denied PermissionDenied;
    not_found NotFound;
    already_exists AlreadyExists;
    failed_precondition FailedPrecondition;
    resource_exhausted ResourceExhausted;
    cancelled Cancelled;
    internal Internal;
    unimplemented Unimplemented;
    unavailable Unavailable;
    deadline_exceeded DeadlineExceeded;
}

#[derive(Debug, Fault)]
enum ImError {
    #[fault(not_found, "NO_USER", message = "no user {id:?} in {room}, {{really}}, {id}")]
    UserNotFound { id: String, room: u32, _secret: u8 },
    #[fault(already_exists, code = "4711", status = 410, message = "{0} is taken, by {1:>3}")]
    NameTaken(String, u8),
    #[fault(internal)]
    Store(#[source] io::Error),
    #[fault(unavailable, message = "the store is away")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[fault(unavailable, message = "no answer")]
    Kernel {
        #[source]
        cause: polyport::Error,
    },
    #[fault(transparent)]
    Other(Fault),
    #[fault(transparent)]
    Machinery(polyport::Error),
}

#[test]
fn the_caller_reads_what_the_attributes_say() {
    let error = ImError::UserNotFound { id: "tom".to_owned(), room: 7, _secret: 1 };
    assert_eq!(error.to_string(), "no user \"tom\" in 7, {really}, tom");
    let fault = Fault::from(error);
    assert_eq!((fault.kind(), fault.reason()), (FaultKind::NotFound, "NO_USER"));
    assert_eq!(fault.message(), "no user \"tom\" in 7, {really}, tom");

    let fault = Fault::from(ImError::NameTaken("tom".to_owned(), 5));
    assert_eq!((fault.reason(), fault.code()), ("NAME_TAKEN", Some("4711")));
    assert_eq!((fault.status(), fault.message()), (410, "tom is taken, by   5"));
}

#[test]
fn the_error_itself_is_kept_with_what_caused_it() {
    let fault = Fault::from(ImError::Store(io::Error::other("disk full")));
    assert!(matches!(fault.find_source(), Some(ImError::Store(_))));
    assert!(fault.find_source::<io::Error>().is_some());
    assert_eq!((fault.reason(), fault.message()), ("STORE", "internal error"));
    assert_eq!(fault.source_text().as_deref(), Some("internal error, because: disk full"));

    let fault = Fault::from(ImError::Away(Box::new(io::Error::other("disk full"))));
    assert!(fault.find_source::<io::Error>().is_some());
    assert!(ImError::NameTaken(String::new(), 0).source().is_none());
}

#[test]
fn an_error_of_ours_may_stand_behind_one_of_the_applications() {
    let inner = "x".parse::<u8>().expect_err("no number");
    let cause = polyport::Error::from(inner).context("users");
    let fault = Fault::from(ImError::Kernel { cause });
    assert!(fault.find_source::<std::num::ParseIntError>().is_some());
    let text = "no answer, because: users: invalid digit found in string";
    assert_eq!(fault.source_text().as_deref(), Some(text));
    let parts = vec![polyport::Error::other("a"), polyport::Error::from(io::Error::other("b"))];
    let cause = polyport::Error::all("two", parts).expect_err("there are two");
    assert!(Fault::from(ImError::Kernel { cause }).find_source::<io::Error>().is_some());
}

#[test]
fn what_is_transparent_is_the_fault_inside() {
    let inner = Fault::cancelled("GONE", "gone").with_code("1");
    let fault = Fault::from(ImError::Other(inner));
    assert_eq!(
        (fault.kind(), fault.reason(), fault.code()),
        (FaultKind::Cancelled, "GONE", Some("1"))
    );
    let fault = Fault::from(ImError::Machinery(polyport::Error::other("broken")));
    assert_eq!((fault.kind(), fault.message()), (FaultKind::Internal, "internal error"));
}

#[derive(Debug, thiserror::Error, Fault)]
enum Told {
    #[error("row {0} of table users is missing")]
    #[fault(not_found, "NO_USER", message = "no such user")]
    Row(u64),
    #[error("name {0:?} is taken")]
    #[fault(already_exists)]
    Taken(String),
    #[error("SELECT failed: {0}")]
    #[fault(internal)]
    Store(#[from] io::Error),
    #[error(transparent)]
    #[fault(transparent)]
    Inner(#[from] RoomNotFound),
}

#[test]
fn thiserrors_text_is_for_the_log_and_for_callers_where_there_is_no_message() {
    let fault = Fault::from(Told::Row(7));
    assert_eq!(fault.message(), "no such user");
    assert_eq!(fault.source_text().as_deref(), Some("row 7 of table users is missing"));
    assert_eq!(Fault::from(Told::Taken("tom".to_owned())).message(), "name \"tom\" is taken");
}

#[test]
fn the_text_of_a_defect_is_never_sent() {
    let fault = Fault::from(Told::from(io::Error::other("password=x")));
    assert_eq!(fault.message(), "internal error");
    let sent = format!("{:?}", fault.view("id"));
    assert!(!sent.contains("password"), "{sent}");
    assert!(fault.source_text().is_some_and(|text| text.contains("password")));
}

#[derive(Debug, Fault)]
#[fault(not_found, message = "no room {name}")]
struct RoomNotFound {
    name: String,
}

#[derive(Debug, Fault)]
#[fault(failed_precondition, "NOT_NOW", message = "not now")]
struct NotNow;

#[derive(Debug, Fault)]
#[fault(invalid_argument, message = "{0} is odd")]
struct Odd<T>(T);

#[derive(Debug, Fault)]
#[fault(transparent)]
#[allow(dead_code, reason = "only its conversion is of interest")]
struct Wrapper(Told);

impl std::fmt::Display for Wrapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Wrapper {}

#[test]
fn a_struct_is_one_fault() {
    let fault = Fault::from(RoomNotFound { name: "lobby".to_owned() });
    assert_eq!((fault.reason(), fault.message()), ("ROOM_NOT_FOUND", "no room lobby"));
    assert_eq!(fault.find_source().map(|room: &RoomNotFound| &*room.name), Some("lobby"));
    assert_eq!(Fault::from(NotNow).reason(), "NOT_NOW");
    assert_eq!(Fault::from(Odd(3_u8)).message(), "3 is odd");
    assert!(Fault::from(Odd("x")).find_source::<Odd<&'static str>>().is_some());
    let told = Told::Inner(RoomNotFound { name: "lobby".to_owned() });
    assert_eq!(Fault::from(Wrapper(told)).reason(), "ROOM_NOT_FOUND");
}

#[derive(Debug, Fault)]
enum OnlyDefects {
    #[fault(internal)]
    Store(#[source] io::Error),
}

#[test]
fn a_defect_needs_no_message() {
    let fault = Fault::from(OnlyDefects::Store(io::Error::other("disk full")));
    assert_eq!(fault.message(), "internal error");
    assert!(fault.find_source::<OnlyDefects>().is_some());
    assert!(fault.find_source::<io::Error>().is_some());
}

#[test]
fn a_question_mark_makes_the_fault() {
    fn answer() -> Result<(), Fault> {
        Err(NotNow)?
    }
    assert_eq!(answer().expect_err("not now").kind(), FaultKind::FailedPrecondition);
}

/// Each wrong use is an error at what is wrong, in words that say what to write instead.
/// `TRYBUILD=overwrite` rewrites the expected errors.
#[test]
fn wrong_uses_are_errors_at_their_place() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/fault_ui/*.rs");
    cases.pass("tests/fault_ui/pass/*.rs");
}
