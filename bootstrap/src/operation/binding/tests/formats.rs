//! Bodies by content type.

use bytes::Bytes;
use garde::Validate;
use http::{HeaderValue, header};
use serde::Deserialize;

use super::*;
use crate::operation::{Codec, Codecs, FilePart};

#[derive(Debug, PartialEq, Deserialize, Validate)]
#[garde(allow_unvalidated)]
struct Upload {
    #[garde(length(min = 2))]
    title: String,
    picture: FilePart,
    #[serde(default)]
    extra: Vec<FilePart>,
    #[serde(default)]
    tags: Vec<u8>,
}

fn multipart(parts: &[(&str, &str)]) -> RawInput {
    let part = |(head, body): &(&str, &str)| {
        format!("--B\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
    };
    let body = parts.iter().map(part).collect::<String>() + "--B--\r\n";
    let format = Codecs::default().format(b"multipart/form-data; boundary=B").expect("is known");
    RawInput { format, ..RawInput::json(body.into()) }
}

#[test]
fn a_multipart_body_has_texts_and_files() {
    let bound: Upload = bind(&multipart(&[
        ("name=\"title\"", "A cat"),
        ("name=\"picture\"; filename=\"cat.png\"\r\nContent-Type: image/png", "\u{1}binary"),
        ("name=\"tags\"", "1"),
        ("name=\"tags\"", "2"),
        ("name=\"extra\"; filename=\"a\"", "A"),
        ("name=\"extra\"; filename=\"b\"", ""),
    ]))
    .expect("binds");
    assert_eq!(bound.title, "A cat");
    assert_eq!(
        bound.picture,
        FilePart {
            name: "picture".to_owned(),
            file_name: Some("cat.png".to_owned()),
            content_type: Some("image/png".to_owned()),
            bytes: Bytes::from_static(b"\x01binary"),
        }
    );
    assert_eq!(bound.tags, [1, 2]);
    let names: Vec<_> = bound.extra.iter().map(|file| file.file_name.as_deref()).collect();
    assert_eq!(names, [Some("a"), Some("b")]);
}

#[test]
fn faults_of_parts_are_told_as_those_of_fields() {
    let of = |parts: &[(&str, &str)]| faults::<Upload>(&multipart(parts));
    assert_eq!(
        of(&[("name=title", "x"), ("name=tags", "a"), ("name=picture", "text")]),
        [
            "tags[0]: invalid value: string \"a\", expected u8",
            "picture: invalid type: string \"text\", expected a file of a multipart body",
            "title: length is lower than 2",
        ],
    );
    assert_eq!(
        of(&[("name=title; filename=x", "xy")]),
        ["title: invalid type: a file, expected a string", "picture: is required"],
    );
    assert_eq!(
        faults::<Upload>(&json(r#"{"title":"xy","picture":"data"}"#)),
        ["picture: invalid type: string \"data\", expected a file of a multipart body"],
    );
}

#[test]
fn a_malformed_multipart_body_is_a_fault() {
    let malformed = |body: &str| {
        let input = RawInput { body: body.to_owned().into(), ..multipart(&[]) };
        let fault = &faults::<Upload>(&input)[0];
        assert!(fault.starts_with("the multipart body is malformed"), "{fault}");
    };
    malformed("--B\r\nContent-Disposition: form-data; name=a\r\n\r\nno end");
    malformed("nothing");
    malformed("--B\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--B--");
    let long = "x".repeat(10_000);
    malformed(&format!("--B\r\nContent-Disposition: form-data; name={long}\r\n\r\n\r\n--B--"));
    let part = "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
    malformed(&(part.repeat(1025) + "--B--\r\n"));
    let header = "X: y\r\n".repeat(100);
    malformed(&format!("--B\r\n{header}Content-Disposition: form-data; name=a\r\n\r\n\r\n--B--"));
}

struct Lines;

impl Codec for Lines {
    fn content_types(&self) -> &[&str] {
        &["text/x-lines", "text/x-rows"]
    }

    fn to_json(&self, body: &[u8]) -> Result<Vec<u8>, Fault> {
        let text = std::str::from_utf8(body)
            .map_err(|_| Fault::invalid_argument("INVALID_INPUT", "is not UTF-8"))?;
        let fields = text.lines().filter_map(|line| line.split_once(": "));
        let fields: serde_json::Map<_, _> =
            fields.map(|(name, value)| (name.to_owned(), value.into())).collect();
        Ok(Value::from(fields).to_string().into_bytes())
    }
}

#[derive(Debug, PartialEq, Deserialize, Validate)]
struct Name {
    #[garde(length(min = 2))]
    name: String,
}

fn codecs() -> Codecs {
    let mut codecs = Codecs::default();
    codecs.add(Lines).expect("is new");
    let decode = |bytes: &[u8]| Ok(Name { name: format!("typed {}", bytes.len()) });
    codecs.add_typed("application/X-Protobuf", decode).expect("is new");
    codecs
}

fn in_format(content_type: &str, body: &str) -> RawInput {
    let format = codecs().format(content_type.as_bytes()).expect("is known");
    RawInput { format, ..input(&[], "", body) }
}

#[test]
fn a_codec_of_a_module_reads_bodies_and_tells_faults_as_json_does() {
    let bound = bind::<Name>(&in_format("Text/X-Rows; charset=utf-8", "name: Tom\nage: 3"));
    assert_eq!(bound.expect("binds").name, "Tom");
    let input = in_format("text/x-lines", "name: T");
    assert_eq!(faults::<Name>(&input), ["name: length is lower than 2"]);
}

#[test]
fn a_typed_codec_decodes_straight_into_its_type_and_is_refused_for_others() {
    let input = in_format("application/x-protobuf", "abc");
    assert_eq!(bind::<Name>(&input).expect("binds").name, "typed 3");
    let fault = bind::<Upload>(&input).expect_err("nobody reads this type");
    assert_eq!((fault.status(), fault.reason()), (415, "UNSUPPORTED_MEDIA_TYPE"));
}

#[test]
fn two_codecs_of_one_content_type_are_an_error() {
    let mut codecs = codecs();
    codecs.add(Lines).expect_err("is taken");
    let decode = |_: &[u8]| Ok(Name { name: String::new() });
    codecs.add_typed("application/x-protobuf", decode).expect_err("is taken");
    for content_type in ["application/json", "Multipart/Form-Data", "protobuf", "a/b; c=d", ""] {
        codecs.add_typed(content_type, decode).expect_err(content_type);
    }
}

#[test]
fn content_types_choose_the_format() {
    let codecs = Codecs::default();
    let is_json = |text: &str| matches!(codecs.format(text.as_bytes()), Ok(BodyFormat::Json));
    assert!(is_json("Application/JSON; charset=utf-8") && is_json("application/merge-patch+json"));
    let form = codecs.format(b"application/x-www-form-urlencoded");
    assert!(matches!(form, Ok(BodyFormat::Form)));
    let parts = codecs.format(b"Multipart/Form-Data; boundary=\"a b\"");
    assert!(matches!(parts, Ok(BodyFormat::Multipart { boundary }) if &*boundary == "a b"));
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    for text in ["text/plain", "+json", "", "json", "multipart/form-data", "\u{ff}/x", &long] {
        let fault = codecs.format(text.as_bytes()).expect_err(text);
        assert_eq!((fault.status(), fault.reason()), (415, "UNSUPPORTED_MEDIA_TYPE"), "{text}");
    }
}

#[test]
fn headers_say_the_format_or_nothing() {
    let codecs = Codecs::default();
    let mut headers = HeaderMap::new();
    assert!(matches!(codecs.format_of(&headers), Ok(BodyFormat::Json)));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    assert!(matches!(codecs.format_of(&headers), Ok(BodyFormat::Json)));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert_eq!(codecs.format_of(&headers).expect_err("is packed").status(), 415);
    headers.remove(header::CONTENT_ENCODING);
    headers.append(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    assert_eq!(codecs.format_of(&headers).expect_err("are two").status(), 415);
}
