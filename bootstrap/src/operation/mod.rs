//! The protocol-neutral call: an async function with extractors, served on every protocol with the
//! same binding, validation and faults.
//!
//! A framework turns its protocol's message into a [`Context`] and an input, calls an
//! [`Endpoint`], and turns the answer or the [`struct@Fault`] into its protocol's bytes.

mod active;
mod attributes;
mod binding;
mod body_stream;
mod context;
mod current;
mod declared;
mod endpoint;
mod exposures;
mod extended;
mod extensions;
mod extract;
mod fault;
mod handler;
mod in_flight;
mod info;
mod outcome;
mod pipeline;
mod reply;
mod request_id;
mod schema;
mod scope;
mod timeout;
#[cfg(any(test, feature = "testing"))]
mod told;
pub mod trace;
mod traced;

pub use active::ActiveOperation;
pub(crate) use active::sentence;
pub use binding::{
    AddedFormat, Bind, Body, BodyFormat, Codec, Codecs, Cookie, FilePart, Header, NoInput,
    ParamNames, Path, PathParams, Query, RawInput, Unbound, UnknownFormat, cookies, validated,
};
#[doc(hidden)]
pub use binding::{InputField, InputFields, InputSource, Rules, bind_fields};
pub use body_stream::{BodySource, BodyStream};

pub use attributes::Inherited;
pub use context::{Call, Context, PeerAddr};
#[doc(hidden)]
pub use declared::ControllerDeclaration;
pub use declared::{Declared, OperationExt};
pub use endpoint::Endpoint;
pub use exposures::Exposures;
pub(crate) use extended::Computations;
pub use extensions::{Extensions, Shared};
pub use extract::{App, Ctx, FromContext, Inject, Input, InputSlot};
#[doc(hidden)]
pub use extract::{Extract, NoPayload, Payload, Select, Takes};
#[doc(hidden)]
pub use fault::AsSource;
pub use fault::{Fault, FaultKind};
pub use handler::Operation;
pub use in_flight::Flight;
pub(crate) use in_flight::InFlight;
pub use info::{Exposure, OperationInfo, OperationKind, Protocol};
#[doc(hidden)]
pub use outcome::Outcome;
pub use pipeline::{
    AnyError, AnyFilter, Aspect, Band, BoxError, ChainCall, ChainService, EndpointService,
    FaultError, FaultFilter, FilteredError, Guard, Injected, Interceptor, IntoStage, Invocation,
    MiddlewareOptions, Next, OwnedNext, Pipeline, Plan, Stage, StageKind, StageScope, Supply,
    injected,
};
pub(crate) use pipeline::{Chain, Invoke, MadeOnce, MiddlewareSettings, Pipelines, Target};
pub use polyport_macros::{Fault, Input, operation};
pub use reply::{
    Answer, ByteStream, File, IntoReply, Items, NoContent, Raw, Reply, ReplyBody, Value,
};
pub use request_id::RequestId;
pub use schema::Schemas;
#[doc(hidden)]
pub use schema::{SchemaOf, WithoutSchema};
pub use timeout::{TIMEOUT_HEADER, peer_timeout, timeout_of};
