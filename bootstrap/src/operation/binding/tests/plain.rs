use garde::Validate;
use serde::Deserialize;

use super::*;
use crate::operation::NoInput;

#[derive(Debug, PartialEq, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
#[garde(allow_unvalidated)]
struct Post {
    room: String,
    #[garde(length(min = 1))]
    from: String,
    limit: Option<u32>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    is_urgent: bool,
}

#[test]
fn fields_come_from_path_query_and_body() {
    let bound = bind::<Post>(&input(
        &[("room", "lobby")],
        "?limit=50&tags=a&tags=b%20c&isUrgent=true",
        r#"{"from":"tom","room":"hidden by the path","limit":1}"#,
    ));
    assert_eq!(
        bound.expect("binds"),
        Post {
            room: "lobby".to_owned(),
            from: "tom".to_owned(),
            limit: Some(50),
            tags: vec!["a".to_owned(), "b c".to_owned()],
            is_urgent: true,
        }
    );
}

#[test]
fn a_form_binds_like_a_query() {
    let mut form = form("from=tom+x&limit=3&tags=a&tags=b");
    form.path = PathParams::from_iter([("room", "lobby")]);
    let bound: Post = bind(&form).expect("binds");
    assert_eq!((bound.from.as_str(), bound.limit), ("tom x", Some(3)));
    assert_eq!(bound.tags, ["a", "b"]);
}

#[test]
fn without_query_and_path_json_binds_directly() {
    let bound: Post = bind(&json(r#"{"room":"r","from":"tom","limit":null}"#)).expect("binds");
    assert_eq!(bound.limit, None);
}

#[test]
fn faults_name_the_field() {
    let of = |path: &[(&str, &str)], query, body| faults::<Post>(&input(path, query, body));
    assert_eq!(of(&[], "", ""), ["room: is required", "from: is required"]);
    assert_eq!(of(&[], "?room=a&from=", ""), ["from: length is lower than 1"]);
    assert_eq!(
        of(&[("room", "a")], "?limit=many", r#"{"from":"tom"}"#),
        ["limit: invalid value: string \"many\", expected u32"],
    );
    assert_eq!(
        of(&[("room", "a")], "", r#"{"from":7}"#),
        ["from: invalid type: integer `7`, expected a string"],
    );
}

#[test]
fn malformed_json_is_one_fault_with_its_place() {
    for (body, place) in [
        ("{", "EOF while parsing an object at line 1 column 1"),
        ("{\"room\":", "EOF while parsing a value at line 1 column 8"),
        (r#"{"from":"x"} y"#, "trailing characters at line 1 column 14"),
        ("\u{feff}{}", "expected value at line 1 column 1"),
    ] {
        let expected = [format!("the body is malformed JSON: {place}")];
        assert_eq!(faults::<Post>(&input(&[("room", "a")], "", body)), expected);
        assert_eq!(faults::<Post>(&json(body)), expected);
    }
}

#[test]
fn a_scalar_that_is_given_more_than_once_is_a_fault() {
    let of = |query| faults::<Post>(&input(&[("room", "a")], query, ""));
    assert_eq!(of("?from=tom&from=eve"), ["from: given more than once"]);
    assert_eq!(of("?from=tom&limit=1&limit=1"), ["limit: given more than once"]);
    assert_eq!(
        faults::<Post>(&json(r#"{"room":"a","from":"tom","from":"eve"}"#)),
        ["duplicate field `from`"],
    );
}

#[test]
fn what_is_no_percent_encoded_utf8_is_a_fault_of_its_field() {
    for value in ["%ff", "%zz", "100%", "%C3%28"] {
        let query = format!("?from={value}&limit=1");
        assert_eq!(
            faults::<Post>(&input(&[("room", "a")], &query, "")),
            ["from: the value is not percent-encoded UTF-8"],
            "{value}",
        );
    }
    let harmless = input(&[("room", "a")], "?from=tom&unused=%ff&%ff=1", "");
    bind::<Post>(&harmless).expect("what nobody reads is nobody's fault");
}

#[test]
fn a_form_of_a_hundred_thousand_names_takes_no_longer_than_its_length() {
    let names: Vec<_> = (0..100_000).map(|number| format!("{number}=")).collect();
    let begun = std::time::Instant::now();
    faults::<Post>(&form(&names.join("&")));
    // Quadratic work would take minutes.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn many_names_are_told_apart() {
    let query: Vec<_> = (0..40).map(|number| format!("n{number}=x")).collect();
    let query = format!("?{}&from=tom&limit=2&room=hidden", query.join("&"));
    let bound: Post = bind(&input(&[("room", "a")], &query, "")).expect("binds");
    assert_eq!((bound.room.as_str(), bound.from.as_str(), bound.limit), ("a", "tom", Some(2)));
}

#[test]
fn a_body_that_is_no_object_is_the_input_as_a_whole() {
    #[derive(Debug, PartialEq, Deserialize, Validate)]
    struct Numbers(#[garde(skip)] Vec<u32>);
    let bound = bind::<Numbers>(&input(&[], "?trace=1", " [1, 2]"));
    assert_eq!(bound.expect("binds"), Numbers(vec![1, 2]));
    assert_eq!(
        faults::<Numbers>(&json(r#"[1,"a",3,-1]"#)),
        [
            "[1]: invalid type: string \"a\", expected u32",
            "[3]: invalid value: integer `-1`, expected u32",
        ],
    );
}

#[test]
fn numbers_in_text_are_finite_as_in_json() {
    #[derive(Debug, Deserialize, Validate)]
    struct Ratio {
        #[garde(skip)]
        ratio: f64,
    }
    let of = |query: &str| bind::<Ratio>(&input(&[], query, ""));
    assert_eq!(of("?ratio=1e3").expect("binds").ratio, 1000.0);
    for text in ["NaN", "inf", "-infinity", "1e999"] {
        of(&format!("?ratio={text}")).expect_err(text);
    }
    bind::<Ratio>(&json(r#"{"ratio":NaN}"#)).expect_err("is no JSON");
}

#[test]
fn an_operation_without_input_ignores_the_body() {
    assert_eq!(bind::<NoInput>(&input(&[], "?x=1", "not JSON")).expect("binds"), NoInput);
}
