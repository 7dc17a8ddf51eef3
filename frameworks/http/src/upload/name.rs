//! Names of files that strangers have given.

/// The longest name that file systems take, in bytes.
const LONGEST: usize = 255;

/// The last part of a path, without what means something in paths, shells or Windows; none where
/// nothing is left.
pub(super) fn sanitised(given: &str) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_plain = |c: &char| !c.is_control() && !"<>:\"|?*".contains(*c) && !is_invisible(*c);
    let mut name: String = last.chars().filter(is_plain).collect();
    name = name.trim_matches(['.', ' ']).to_owned();
    while name.len() > LONGEST {
        // From the middle: the ending says what it is.
        let middle = name.char_indices().nth(name.chars().count() / 2).map(|(at, _)| at);
        name.remove(middle.unwrap_or(0));
    }
    (!name.is_empty()).then_some(name)
}

/// Characters that turn around what is read (Unicode, Bidi_Control), or that nobody sees.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_a_name_and_no_path() {
        for (given, name) in [
            ("a b.png", Some("a b.png")),
            ("größe.png", Some("größe.png")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\temp\\a.png", Some("a.png")),
            ("a\0b\r\n.png", Some("ab.png")),
            (".htaccess", Some("htaccess")),
            ("a:b|c?.png", Some("abc.png")),
            ("gnp\u{202e}.exe", Some("gnp.exe")),
            ("..", None),
            ("a/", None),
            ("", None),
        ] {
            assert_eq!(sanitised(given).as_deref(), name, "{given:?}");
        }
        let long = sanitised(&format!("{}.png", "ä".repeat(300))).expect("a name");
        assert!(long.len() <= LONGEST && long.ends_with(".png"), "{long}");
    }

    proptest! {
        #[test]
        fn no_name_leads_anywhere(given: String) {
            if let Some(name) = sanitised(&given) {
                prop_assert!(!name.contains(['/', '\\', '\0']) && name != ".." && name != ".");
                prop_assert_eq!(std::path::Path::new(&name).components().count(), 1);
            }
        }
    }
}
