//! What the benchmark makes of its figures, and of its command line.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the benchmark takes the rest")]

mod cores;
mod figures;
mod load;
mod machine;
mod options;
mod others;
mod process;
mod report;
mod rounds;
mod rows;
mod servers;
mod targets;

use std::time::Duration;

use figures::{Kind, Spread};
use machine::Machine;
use options::Options;
use rounds::Measured;
use rows::{Row, Variant, Work};
use serde_json::Value;
use targets::{Most, Target};

fn options(words: &[&str]) -> Options {
    let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
    Options::read(&words).expect("is understood")
}

/// A row of a baseline and of polyport, with what each took in each round, in nanoseconds.
fn measured(name: &'static str, rounds: &[(f64, f64)], targets: Vec<Target>) -> Measured {
    let by_hand = Variant { server: "http-axum", name: "axum <by hand>", targets: Vec::new() };
    let ours = Variant { server: "http-polyport", name: "polyport", targets };
    let figures = |one: fn(&(f64, f64)) -> f64| {
        let figures = |round| vec![(Kind::Cpu, one(round)), (Kind::Rate, 1e9 / one(round))];
        rounds.iter().map(figures).collect()
    };
    let row = Row {
        name,
        title: "GET & more",
        cores: 1,
        connections: 64,
        work: Work::Start,
        variants: vec![by_hand, ours],
    };
    let figures = vec![figures(|round| round.0), figures(|round| round.1)];
    Measured { row, took: Duration::from_secs(1), figures }
}

/// The files of a run: `results.md`, `results.json`, `results.svg`.
fn files(measured: &[Measured]) -> [String; 3] {
    let machine = Machine::look(&options(&["--rounds", "3"]));
    let files = report::files(measured, &machine, &["all of AMQP"]).expect("are written");
    files.map(|(_, text)| text)
}

fn ours(measured: &Measured) -> Spread {
    measured.ratio(1, Kind::Cpu).expect("was measured")
}

#[test]
fn a_ratio_is_to_the_baseline_of_the_same_round() {
    // What else runs makes the second round ten times as slow for both.
    let ratio = ours(&measured("a", &[(10.0, 9.0), (100.0, 90.0), (20.0, 18.0)], Vec::new()));
    assert!([ratio.low, ratio.median, ratio.high].iter().all(|ratio| (ratio - 0.9).abs() < 1e-9));
}

#[test]
fn the_median_of_an_even_number_is_between_the_middle_two() {
    let spread = Spread::of([4.0, 1.0, 2.0, 8.0]).expect("has figures");
    assert_eq!((spread.low, spread.median, spread.high), (1.0, 3.0, 8.0));
    assert!(Spread::of([]).is_none());
}

#[test]
fn a_range_that_spans_one_shows_no_difference() {
    let spans = measured("a", &[(10.0, 9.0), (10.0, 11.0)], Vec::new());
    assert!(report::table(&spans, &[]).contains("1.00 (0.90–1.10): no difference shown"));
    let less = measured("a", &[(10.0, 9.0), (10.0, 9.5)], Vec::new());
    let table = report::table(&less, &[]);
    assert!(table.contains("0.93 (0.90–0.95)") && !table.contains("no difference"), "{table}");
}

#[test]
fn a_target_is_met_or_missed_by_the_median() {
    let said = |target: f64| {
        let row = measured("a", &[(10.0, 9.0), (10.0, 9.0)], vec![Target::ratio(target)]);
        report::table(&row, &[])
    };
    assert!(said(0.9).contains("≤ 0.90: met (0.90)"));
    assert!(said(0.89).contains("≤ 0.89: missed (0.90)"));
}

#[test]
fn a_ratio_may_be_held_against_that_of_another_row() {
    let target = || vec![Target { kind: Kind::Cpu, most: Most::RatioIn("few") }];
    let few = measured("few", &[(10.0, 9.0), (10.0, 10.0)], Vec::new());
    let many = measured("many", &[(10.0, 10.0)], target());
    let grown = measured("many", &[(10.0, 11.0)], target());
    let before = [few];
    let table = report::table(&many, &before);
    assert!(table.contains("no more than 0.90–1.00 in few: met (1.00)"), "{table}");
    assert!(report::table(&grown, &before).contains("in few: missed (1.10)"));
    assert!(report::table(&many, &[]).contains("not judged: another row is missing"));
}

#[test]
fn every_line_of_a_table_has_as_many_cells() {
    let table = report::table(&measured("a", &[(10.0, 9.0)], vec![Target::ratio(1.0)]), &[]);
    let cells: Vec<_> = table.lines().map(|line| line.matches('|').count()).collect();
    assert_eq!(cells.len(), 4);
    assert!(cells.iter().all(|count| *count == cells[0]), "{table}");
}

#[test]
fn what_a_busy_load_has_limited_is_at_least_that_much() {
    let with_load = |load| {
        let mut row = measured("a", &[(10.0, 9.0)], Vec::new());
        row.figures.iter_mut().flatten().for_each(|figures| figures.push((Kind::Load, load)));
        report::table(&row, &[])
    };
    assert!(with_load(0.96).contains("≥ "));
    assert!(!with_load(0.94).contains("≥ "));
}

#[test]
fn the_page_counts_targets_and_names_what_was_missed_and_left_out() {
    let targets = vec![Target::ratio(1.0), Target::ratio(0.5)];
    let [page, ..] = files(&[measured("a", &[(10.0, 9.0)], targets)]);
    assert!(page.contains("1 of 2 targets met. Missed:\n\n- GET & more, polyport: ≤ 0.50: missed"));
    assert!(page.contains("3 rounds, too few for a result."), "{page}");
    assert!(page.contains("Left out: all of AMQP."), "{page}");
    assert!(page.contains("\n| GET & more | CPU a call | ratio | target | calls/s |\n|---|"));
}

#[test]
fn the_json_has_every_round_and_what_is_made_of_them() {
    let rounds = [(10.0, 9.0), (10.0, 11.0), (10.0, 8.0)];
    let [_, json, _] = files(&[measured("a", &rounds, vec![Target::ratio(1.0)])]);
    let json: Value = serde_json::from_str(&json).expect("is JSON");
    assert_eq!(json["left_out"][0], "all of AMQP");
    let row = &json["rows"][0];
    assert_eq!((&row["row"], &row["connections"]), (&"a".into(), &64.into()));
    let ours = &row["servers"][1];
    assert_eq!(ours["rounds"].as_array().map(Vec::len), Some(3));
    assert_eq!(ours["targets"][0], "≤ 1.00: met (0.90)");
    let cpu = &ours["figures"][0];
    assert_eq!((&cpu["of"], &cpu["no_difference_shown"]), (&"cpu".into(), &true.into()));
    assert_eq!((&cpu["ratio"]["median"], &cpu["ratio"]["high"]), (&0.9.into(), &1.1.into()));
    assert_eq!(cpu["figure"]["median"], 9.0);
}

/// Each element is closed where it belongs, and no text opens one.
#[test]
fn the_picture_is_well_formed_and_has_a_bar_for_each_server() {
    let [.., svg] = files(&[measured("a", &[(10.0, 9.0)], Vec::new())]);
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("a tag ends");
        assert!(
            !text.contains('>')
                && !text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").contains('&'),
            "{text}"
        );
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.extend(tag.split(' ').next()),
        }
    }
    assert!(open.is_empty(), "{open:?} is not closed");
    assert_eq!(svg.matches("height=\"14\"").count(), 2, "{svg}");
    assert!(svg.contains("GET &amp; more") && svg.contains("axum &lt;by hand&gt;"), "{svg}");
}

#[test]
fn the_command_line_chooses_rows_and_rounds() {
    let some = options(&["--bench", "grpc", "http-get", "--others", "--rounds", "9"]);
    assert!(some.wants("grpc-unary-8") && some.wants("http-get-1000") && !some.wants("http-form"));
    assert!(some.others && some.rounds == 9);
    assert!(options(&[]).wants("amqp-reply"));
    for wrong in [&["--round"][..], &["--rounds"], &["--rounds", "0"], &["--rounds", "few"]] {
        let words: Vec<_> = wrong.iter().map(|word| (*word).to_owned()).collect();
        assert!(Options::read(&words).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_full_run_takes_minutes() {
    let minutes = |options: &Options| -> u64 {
        let forecast = rounds::forecast(&rows::all(), options);
        let (_, about) = forecast.split_once("about ").expect("says how long");
        about.trim_end_matches(" min").parse().expect("in minutes")
    };
    let (full, quick) = (options(&[]), options(&["--quick"]));
    assert!(full.rounds >= options::FEWEST && minutes(&full) <= 20, "{} min", minutes(&full));
    assert!(minutes(&quick) <= 4, "{} min", minutes(&quick));
}

fn is_there(server: &str) -> bool {
    server == servers::EPOLL || servers::find(server, "queue 64").is_some()
}

#[test]
fn every_row_names_servers_that_there_are_and_the_baseline_first() {
    for row in rows::all() {
        for variant in &row.variants {
            let is_there = others::has(variant.server) || is_there(variant.server);
            assert!(is_there, "{}: {}", row.name, variant.server);
        }
        // One alone is compared with nobody.
        if row.variants.len() > 1 {
            assert!(!row.variants[0].name.starts_with("polyport"), "{}", row.name);
            assert!(row.variants[0].targets.is_empty(), "{}", row.name);
        }
    }
}

#[test]
fn rows_go_without_servers_of_other_workspaces_where_those_are_not_asked_for() {
    let mut row = rows::all().into_iter().find(Row::has_others).expect("some have");
    row.leave_others_out();
    assert!(!row.has_others() && row.variants.iter().all(|variant| is_there(variant.server)));
}

#[test]
fn the_time_of_a_core_is_known() {
    assert!(cores::busy(0).expect("is told") > 0);
    assert!(cores::busy(100_000).is_err());
    assert!(cores::all().expect("are counted") > 0);
}
