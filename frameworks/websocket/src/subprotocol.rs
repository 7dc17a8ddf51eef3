//! Which subprotocol is spoken (RFC 6455, sections 1.9 and 4.2.2).

use http::{HeaderMap, HeaderName, header::SEC_WEBSOCKET_PROTOCOL};
use polyport_bootstrap::Fault;

use crate::{WebSocketSettings, hub::Subprotocol, refusal::Refusal};

/// The first of ours that the client offers.
pub(crate) fn negotiate(
    settings: &WebSocketSettings,
    headers: &HeaderMap,
) -> Result<Option<Subprotocol>, Refusal> {
    let ours = &settings.subprotocols;
    if ours.is_empty() {
        return Ok(None);
    }
    let offered = offered(headers).ok_or_else(malformed)?;
    let position = ours.iter().position(|name| offered.contains(&name.as_str()));
    match position.and_then(|position| u16::try_from(position).ok()) {
        None if settings.require_subprotocol => Err(none_of(ours)),
        position => Ok(position.map(Subprotocol)),
    }
}

/// What the client offers; none where that is no list of tokens.
fn offered(headers: &HeaderMap) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        for name in value.to_str().ok()?.split(',') {
            let name = name.trim_matches([' ', '\t']);
            // A token, as the name of a header is.
            HeaderName::from_bytes(name.as_bytes()).ok()?;
            names.push(name);
        }
    }
    Some(names)
}

fn malformed() -> Refusal {
    let message = "Sec-WebSocket-Protocol is to be a list of tokens";
    Refusal(Fault::invalid_argument("MALFORMED_SUBPROTOCOL", message), Vec::new())
}

fn none_of(ours: &[String]) -> Refusal {
    let message = format!("one of these subprotocols has to be offered: {}", ours.join(", "));
    Refusal(Fault::invalid_argument("NO_SUBPROTOCOL", message), Vec::new())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn settings(require_subprotocol: bool) -> WebSocketSettings {
        let subprotocols = ["chat.v2", "chat.v1"].map(str::to_owned).to_vec();
        WebSocketSettings { subprotocols, require_subprotocol, ..WebSocketSettings::default() }
    }

    fn negotiated(
        settings: &WebSocketSettings,
        offers: &[&'static str],
    ) -> Result<Option<u16>, u16> {
        let values = offers.iter().map(|offer| HeaderValue::from_static(offer));
        let headers = values.map(|value| (SEC_WEBSOCKET_PROTOCOL, value)).collect();
        let agreed = negotiate(settings, &headers);
        agreed
            .map(|agreed| agreed.map(|Subprotocol(position)| position))
            .map_err(|Refusal(fault, _)| fault.status())
    }

    #[test]
    fn our_first_that_is_offered_is_agreed_on() {
        let settings = settings(false);
        for offers in [&["chat.v1, chat.v2"][..], &["x,chat.v1", "chat.v2"]] {
            assert_eq!(negotiated(&settings, offers), Ok(Some(0)));
        }
        assert_eq!(negotiated(&settings, &["chat.v1\t, soap"]), Ok(Some(1)));
        for offers in [&[][..], &["soap"], &["CHAT.V1"]] {
            assert_eq!(negotiated(&settings, offers), Ok(None), "{offers:?}");
        }
        for offers in ["", "chat.v1,,chat.v2", "chat v1", "\"chat.v1\""] {
            assert_eq!(negotiated(&settings, &[offers]), Err(400), "{offers:?}");
        }
    }

    #[test]
    fn where_one_is_required_others_are_refused_and_without_any_nothing_is_read() {
        for offers in [&[][..], &["soap"]] {
            assert_eq!(negotiated(&settings(true), offers), Err(400));
        }
        assert_eq!(negotiated(&settings(true), &["chat.v1"]), Ok(Some(1)));
        assert_eq!(negotiated(&WebSocketSettings::default(), &["?? ??"]), Ok(None));
    }
}
