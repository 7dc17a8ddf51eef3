//! Which content coding a client takes (RFC 9110, section 12.5.3).

use http::{HeaderMap, HeaderValue, header};

/// A content coding (RFC 9110, section 8.4.1, RFC 7932 and RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// All of them, the ones that make bodies smallest first.
    pub(crate) const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in headers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The ending of the names of files that are coded so.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zst",
            Self::Gzip => "gz",
        }
    }

    /// The one that a body comes in, where it is one of these and the only one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(header::CONTENT_ENCODING).iter();
        let (Some(given), None) = (lines.next(), lines.next()) else { return None };
        let given = given.as_bytes().trim_ascii();
        Self::ALL.into_iter().find(|coding| given.eq_ignore_ascii_case(coding.name().as_bytes()))
    }

    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }
}

/// Of the codings that are offered, those that the client takes, what it likes best first; of what it
/// likes alike, what is offered first. A client that says nothing takes none.
pub(crate) fn accepted(
    request: &HeaderMap,
    offered: &[Coding],
) -> impl Iterator<Item = Coding> + use<> {
    let lines = request.get_all(header::ACCEPT_ENCODING);
    let plain = weight(lines.iter(), "identity").unwrap_or(0);
    let mut ranked = [const { None }; Coding::ALL.len()];
    for (place, coding) in ranked.iter_mut().zip(offered) {
        let weight = weight(lines.iter(), coding.name()).or_else(|| weight(lines.iter(), "*"));
        *place = weight.filter(|weight| *weight > 0 && *weight >= plain).map(|w| (w, *coding));
    }
    ranked.sort_by_key(|ranked| std::cmp::Reverse(ranked.map_or(0, |(weight, _)| weight)));
    ranked.into_iter().flatten().map(|(_, coding)| coding)
}

/// The weight of a coding in thousandths, where the client names it.
fn weight<'v>(lines: impl Iterator<Item = &'v HeaderValue>, name: &str) -> Option<u16> {
    let listed = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    listed.filter_map(|item| weight_of(item, name)).next()
}

fn weight_of(item: &str, name: &str) -> Option<u16> {
    let mut parts = item.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(name) {
        return None;
    }
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    Some(weight.map_or(1000, thousandths))
}

/// What is no weight is none at all.
fn thousandths(text: &str) -> u16 {
    let weight = text.parse::<f32>().unwrap_or(0.0);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it has been brought between 0 and 1000"
    )]
    let thousandths = (weight * 1000.0).clamp(0.0, 1000.0) as u16;
    thousandths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Coding::*, *};

    fn of(accept: &str) -> Vec<Coding> {
        let value = HeaderValue::from_str(accept).expect("a value");
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]);
        accepted(&headers, &Coding::ALL).collect()
    }

    #[test]
    fn the_client_says_which_codings_it_takes() {
        for (accept, codings) in [
            ("", &[][..]),
            ("gzip", &[Gzip]),
            ("gzip, br;q=1.0", &[Brotli, Gzip]),
            ("br;q=0.1, GZIP;q=0.2, zstd;q=0", &[Gzip, Brotli]),
            ("*", &[Brotli, Zstd, Gzip]),
            ("*;q=0.5, zstd", &[Zstd, Brotli, Gzip]),
            ("*, br;q=0", &[Zstd, Gzip]),
            ("identity;q=0.5, gzip;q=0.2, br", &[Brotli]),
            ("gzip;q=x, br;q=-1, deflate", &[]),
            ("gzip;q=NaN", &[]),
        ] {
            assert_eq!(of(accept), codings, "{accept}");
        }
        assert_eq!(accepted(&HeaderMap::new(), &Coding::ALL).count(), 0);
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(value in "[ -~]{0,60}") {
            prop_assert!(of(&value).len() <= 3);
        }
    }
}
