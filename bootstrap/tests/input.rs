//! What `#[derive(Input)]` refuses, and how.

#[test]
fn misuse_is_explained_by_the_compiler() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/input_ui/pass/*.rs");
    cases.compile_fail("tests/input_ui/*.rs");
}
