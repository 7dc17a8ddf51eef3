use super::{report::WIDTH, *};

#[test]
fn debug_prints_place_stage_cause_and_advice() {
    let io = std::io::Error::other("permission denied");
    let error = Error::connection("cannot bind 127.0.0.1:80")
        .caused_by(io)
        .context("framework http (default)")
        .at_stage("bind")
        .advise("choose a port above 1023");
    assert_eq!(
        format!("{error:?}"),
        "framework http (default): cannot bind 127.0.0.1:80\n  stage: bind\n  because: permission denied\n  \
         help: choose a port above 1023\n",
    );
    assert_eq!(error.exit_code(), 69);
}

#[test]
fn a_report_is_no_wider_than_a_terminal() {
    let names: Vec<String> = (0..60).map(|number| format!("Service{number}")).collect();
    let inner = Error::wiring(names.join(" → ")).advise(names.join(", "));
    let also = Error::other("two\nlines").caused_by(std::io::Error::other(names.join(" ")));
    let report = Error::all("two", vec![inner, also]).expect_err("there are two");
    let text = format!("{report:?}");
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    assert!(text.lines().nth(2).is_some_and(|line| line.starts_with("      ")), "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    let count =
        |name: &String| words.iter().filter(|word| word.trim_end_matches(',') == name).count();
    assert!(names.iter().all(|name| count(name) == 3), "{text}");
    let generic = Error::other(format!("{}: Cache<dyn Store + Send, u8>", "x".repeat(90)));
    let wrapped = format!("{}:\n    Cache<dyn Store + Send, u8>\n", "x".repeat(90));
    assert_eq!(format!("{generic:?}"), wrapped);
}

#[test]
fn several_errors_are_one_report() {
    let report = Error::all("2 faults", vec![Error::wiring("a"), Error::configuration("b")]);
    let report = report.expect_err("there are two");
    assert_eq!(report.kind(), ErrorKind::Wiring);
    assert_eq!(format!("{report:?}"), "2 faults\n  a\n  b\n");
    assert!(Error::all("none", Vec::new()).is_ok());
}

#[test]
fn a_foreign_error_becomes_the_message_and_keeps_its_cause_once() {
    let error = Error::from("x".parse::<u16>().expect_err("not a number"));
    assert_eq!(format!("{error:?}"), "invalid digit found in string\n");
    assert_eq!(error.or_kind(ErrorKind::Hook).kind(), ErrorKind::Hook);
}

#[derive(Debug)]
struct Layered(Option<Box<Layered>>, u8);

impl fmt::Display for Layered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layer {}", self.1)
    }
}

impl StdError for Layered {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.as_deref().map(|inner| inner as &(dyn StdError + 'static))
    }
}

#[test]
fn a_converted_error_is_found_by_its_type_and_told_once() {
    let error = Error::from(Layered(Some(Box::new(Layered(None, 2))), 1)).context("place");
    assert_eq!(format!("{error:?}"), "place: layer 1\n  because: layer 2\n");
    assert_eq!(error.find_source::<Layered>().map(|layer| layer.1), Some(1));
    assert_eq!(error.sources().count(), 2);
}

#[test]
fn the_sources_of_every_part_are_found_even_behind_an_io_error() {
    let io = std::io::Error::other(Layered(None, 7));
    let part = Error::other("second").caused_by(io);
    let report = Error::all("two", vec![Error::wiring("first"), part]).expect_err("there are two");
    assert_eq!(report.find_source::<Layered>().map(|layer| layer.1), Some(7));
    assert!(report.find_source::<std::io::Error>().is_some());
    assert!(report.find_source::<fmt::Error>().is_none());
}

#[test]
fn a_chain_that_bites_its_own_tail_ends() {
    #[derive(Debug)]
    struct Loop;

    impl fmt::Display for Loop {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("loop")
        }
    }

    impl StdError for Loop {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&Loop)
        }
    }

    let error = Error::other("round").caused_by(Loop);
    assert!(error.find_source::<fmt::Error>().is_none());
}
