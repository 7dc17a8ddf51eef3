//! How items are written.

use http::{HeaderMap, HeaderValue, header};

/// How items are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Server-sent events (the HTML standard, section 9.2).
    Events,
    /// JSON values, each on a line of its own.
    Lines,
}

impl Format {
    /// Events for a client that asks for them by name; lines for all others.
    pub(crate) fn accepted(request: &HeaderMap) -> Self {
        let ranges = request.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let asks = ranges.flat_map(|ranges| ranges.split(',')).any(asks_for_events);
        if asks { Self::Events } else { Self::Lines }
    }

    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Events => "text/event-stream",
            Self::Lines => "application/jsonl",
        })
    }
}

fn asks_for_events(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let is_wanted = |parameter: &str| {
        let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
        weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    };
    parts.next().is_some_and(|range| range.eq_ignore_ascii_case("text/event-stream"))
        && parts.all(is_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_for_those_who_ask_for_them_by_name() {
        let format = |accept: &'static str| {
            let accept = HeaderValue::from_static(accept);
            Format::accepted(&HeaderMap::from_iter([(header::ACCEPT, accept)]))
        };
        for accept in
            ["text/event-stream", "a/b, Text/Event-Stream; q=0.5", "text/event-stream,*/*"]
        {
            assert_eq!(format(accept), Format::Events, "{accept}");
        }
        for accept in ["*/*", "text/*", "text/event-stream;q=0", "text/event-stream-x", ""] {
            assert_eq!(format(accept), Format::Lines, "{accept}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Lines);
    }
}
