//! Arguments of an operation that take single parts of its input.

use std::ops::Deref;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{
    collect::collect,
    fault::{self, FieldFault},
    headers,
    named::{Given, Named},
    parts::{HeaderFields, Parameters, Parts},
};
use crate::operation::{Context, Fault, FromContext, InputSlot, NoPayload};

/// The parameters of the route, as a struct with their names, as a tuple in their order, or, where
/// there is one, as its value. They are not validated: [`Input`](struct@crate::operation::Input) is.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Fault, Path};
///
/// // At `/rooms/{room}/messages/{id}`.
/// async fn message(Path((room, id)): Path<(String, u64)>) -> Result<String, Fault> {
///     Ok(format!("{room} {id}"))
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Path<T>(pub T);

/// The query, as a struct or a map by its fields' names. It is not validated:
/// [`Input`](struct@crate::operation::Input) is.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Fault, Query};
///
/// #[derive(serde::Deserialize)]
/// struct Page {
///     #[serde(default)]
///     size: u32,
/// }
///
/// async fn list(Query(page): Query<Page>) -> Result<u32, Fault> {
///     Ok(page.size)
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

/// Headers, as a struct whose fields name them: `request_id` is the header `request-id`. On gRPC,
/// AMQP and WebSocket it is the metadata. A map has all headers by their names.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Fault, Header};
///
/// #[derive(serde::Deserialize)]
/// struct Caller {
///     x_user: String,
///     x_tenant: Option<String>,
/// }
///
/// async fn whoami(Header(caller): Header<Caller>) -> Result<String, Fault> {
///     Ok(format!("{} of {:?}", caller.x_user, caller.x_tenant))
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Header<T>(pub T);

/// Cookies (RFC 6265), as a struct or a map by their names. A cookie's value is taken as it
/// stands, without quotes around it; of several cookies of one name the first counts, which is the
/// one of the closest path.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Cookie, Fault};
///
/// #[derive(serde::Deserialize)]
/// struct Session {
///     sid: Option<String>,
/// }
///
/// async fn is_known(Cookie(session): Cookie<Session>) -> Result<bool, Fault> {
///     Ok(session.sid.is_some())
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cookie<T>(pub T);

/// The bytes of the body, whatever they are; on WebSocket, gRPC and AMQP those of the message.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Body, Fault};
///
/// async fn length(Body(bytes): Body) -> Result<usize, Fault> {
///     Ok(bytes.len())
/// }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body(pub Bytes);

macro_rules! extractors {
    ($($extractor:ident => $read:ident;)*) => {
        $(
            impl<T> Deref for $extractor<T> {
                type Target = T;

                fn deref(&self) -> &T {
                    &self.0
                }
            }

            impl<T: DeserializeOwned + Send> FromContext for $extractor<T> {
                type Payload = NoPayload;

                async fn from_context(
                    context: &Context,
                    _: &mut InputSlot<'_>,
                ) -> Result<Self, Fault> {
                    $read(context).map(Self)
                }
            }
        )*
    };
}

extractors! {
    Path => path;
    Query => query;
    Header => header;
    Cookie => cookie;
}

impl FromContext for Body {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        Ok(Self(context.input.body.clone()))
    }
}

fn path<T: DeserializeOwned>(context: &Context) -> Result<T, Fault> {
    let mut named = Named::default();
    for (name, value) in context.input.path.iter() {
        named.add(0, name.into(), Given::text(value));
    }
    typed(|| Parameters(&named), |faults| faults)
}

fn query<T: DeserializeOwned>(context: &Context) -> Result<T, Fault> {
    let mut named = Named::default();
    if let Some(query) = context.input.query_text() {
        named.add_encoded(0, query.as_bytes());
    }
    typed(|| Parts(&named), |faults| faults)
}

fn cookie<T: DeserializeOwned>(context: &Context) -> Result<T, Fault> {
    let mut named = Named::default();
    for (name, value) in headers::cookies(&context.metadata) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if named.get(name).is_none() {
            named.add(0, name.into(), Given::bytes(value));
        }
    }
    typed(|| Parts(&named), |faults| faults)
}

fn header<T: DeserializeOwned>(context: &Context) -> Result<T, Fault> {
    typed(|| HeaderFields(&context.metadata), |faults| faults.into_iter().map(as_header).collect())
}

/// The field of a fault by the name that the client wrote.
fn as_header(fault: FieldFault) -> FieldFault {
    let end = fault.field.find(['.', '[']).unwrap_or(fault.field.len());
    let (name, rest) = fault.field.split_at(end);
    FieldFault { field: headers::kebab(name).into_owned() + rest, ..fault }
}

fn typed<'de, T, D>(
    source: impl Fn() -> D,
    rename: impl Fn(Vec<FieldFault>) -> Vec<FieldFault>,
) -> Result<T, Fault>
where
    T: DeserializeOwned,
    D: serde::Deserializer<'de>,
{
    T::deserialize(source()).map_err(|error| {
        // Heads are short: readings need no budget of bytes.
        match collect::<T, D>(source, 0).into_faults() {
            faults if faults.is_empty() => fault::whole(error.to_string()),
            faults => fault::invalid(rename(faults)),
        }
    })
}
