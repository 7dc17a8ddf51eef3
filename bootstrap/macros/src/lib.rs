//! Derive and attribute macros of polyport. Use them through the crate `polyport`, which the
//! generated code names.

mod controller;
mod entry;
mod fault;
mod input;
mod operation;
mod options;
mod provide;
mod settings;
mod test;

use proc_macro::TokenStream;
use syn::{DeriveInput, Item, ItemFn, ItemImpl, parse_macro_input};

/// Lets the container build a struct: every field says where its value comes from.
///
/// | field attribute | the value |
/// |---|---|
/// | `#[inject]` | what the container provides: `Arc<T>`, `Arc<dyn Trait>`, `Option<Arc<T>>`, `Vec<Arc<T>>`, `Lazy<T>`, or any other `Injectable` |
/// | `#[inject(name = "replica")]` | the one of that name |
/// | `#[inject(grpc = "users")]` | the generated gRPC client that the field's type is (`UsersClient<GrpcChannel>`), which calls through the connections of `grpc.clients.users` |
/// | `#[config("users.page_size")]` | the configuration value at that key, as the field's type |
/// | `#[app]`, `#[app(name = "admin")]` | the handle of a framework that is loaded |
/// | `#[default]`, `#[default = 16]`, `#[default(Mutex::new(0))]` | state of its own: the type's default, or that expression |
///
/// A field without one of them is an error.
///
/// | struct attribute | meaning |
/// |---|---|
/// | `#[provide(eager)]` | is built at start even where nothing reaches it |
/// | `#[provide(scope = "request")]` | is built once for each call that takes it, on any protocol; it may inject the call's `Context` |
/// | `#[provide(scope = "transient")]` | is built for each constructor or operation that takes it |
/// | `#[provide(init = connect)]` | calls `async fn connect(&mut self) -> Result<()>` (or `&self`) when the fields are set |
/// | `#[provide(dispose = close)]` | calls `async fn close(&self) -> Result<()>` when the process stops (or the call ends) and all that used the value is gone |
/// | `#[provide(crate = path)]` | where to find polyport, if not at `::polyport` |
///
/// # Examples
/// ```
/// # extern crate polyport_bootstrap as polyport;
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
/// use polyport::{Provide, Result, container::ContainerBuilder};
///
/// pub trait UserRepo: Send + Sync {
///     fn name(&self, id: u32) -> Option<String>;
/// }
///
/// #[derive(Provide)]
/// pub struct MemoryRepo;
///
/// impl UserRepo for MemoryRepo {
///     fn name(&self, id: u32) -> Option<String> {
///         (id == 1).then(|| "Tom".to_owned())
///     }
/// }
///
/// #[derive(Provide)]
/// #[provide(init = warm_up, dispose = say_goodbye)]
/// pub struct UserService {
///     #[inject]
///     repo: Arc<dyn UserRepo>,
///     #[default]
///     lookups: AtomicU64,
///     #[default(vec![1])]
///     favourites: Vec<u32>,
/// }
///
/// impl UserService {
///     fn name(&self, id: u32) -> Option<String> {
///         self.lookups.fetch_add(1, Ordering::Relaxed);
///         self.repo.name(id)
///     }
///
///     async fn warm_up(&mut self) -> Result<()> {
///         self.favourites.retain(|id| self.repo.name(*id).is_some());
///         Ok(())
///     }
///
///     async fn say_goodbye(&self) -> Result<()> {
///         println!("answered {} lookups", self.lookups.load(Ordering::Relaxed));
///         Ok(())
///     }
/// }
///
/// # #[polyport::main]
/// # async fn main() -> Result<()> {
/// let mut builder = ContainerBuilder::new();
/// builder.provide::<UserService>();
/// builder.bind::<dyn UserRepo, MemoryRepo>(|repo| repo);
/// let users = builder.build()?.get::<UserService>().await?;
/// assert_eq!(users.name(1).as_deref(), Some("Tom"));
/// # Ok(())
/// # }
/// ```
#[proc_macro_derive(Provide, attributes(provide, inject, config, app, default))]
pub fn derive_provide(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    provide::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an application's own errors faults: `?` turns them into a `Fault`, which says to the
/// caller what the attributes say, and keeps the error as its source. That is logged and never
/// sent, and fault filters can be chosen by its type.
///
/// Each variant (or the struct) says which kind of fault it is:
/// `#[fault(not_found, "USER_NOT_FOUND", message = "no user {id}", code = "4711", status = 410)]`.
///
/// | part | meaning |
/// |---|---|
/// | `invalid_argument`, `unauthenticated`, `permission_denied`, `not_found`, `already_exists`, `failed_precondition`, `resource_exhausted`, `cancelled`, `internal`, `unimplemented`, `unavailable`, `deadline_exceeded` | the kind |
/// | `transparent` | instead of all others: the fault is what the one field becomes (a `Fault`, a polyport `Error`, another enum that derives `Fault`), which is not kept |
/// | `"USER_NOT_FOUND"` | the reason, for machines; else the variant's name in that form |
/// | `message = "no user {id}"` | what the caller reads; `{0}`, `{id}` and `{id:?}` are fields |
/// | `code = "4711"` | a business code |
/// | `status = 410` | a finer HTTP status than the kind's |
///
/// On the type itself, `#[fault(crate = path)]` says where to find polyport, if not at
/// `::polyport`.
///
/// The messages are also what the error says of itself: the derive writes `Display` and
/// `std::error::Error` (whose source is the field marked `#[source]`), and the type derives
/// `Debug`. A defect needs no message. Where `thiserror` writes them (`#[error("…")]`), its text is for the log, and for the
/// caller too where there is no `message`. The caller of a defect (`internal`) never reads that: it
/// is told `internal error`, or the `message`.
///
/// # Examples
/// ```
/// # extern crate polyport_bootstrap as polyport;
/// use polyport::{Fault, FaultKind};
///
/// #[derive(Debug, Fault)]
/// enum ImError {
///     #[fault(not_found, message = "no such user")]
///     UserNotFound,
///     #[fault(already_exists, "NAME_TAKEN", code = "4711", message = "{0} is somebody else")]
///     NameTaken(String),
///     #[fault(internal)]
///     Store(#[source] std::io::Error),
///     #[fault(transparent)]
///     Other(Fault),
/// }
///
/// fn register(name: &str) -> Result<(), Fault> {
///     Err(ImError::NameTaken(name.to_owned()))?
/// }
///
/// let fault = register("tom").unwrap_err();
/// assert_eq!((fault.kind(), fault.code()), (FaultKind::AlreadyExists, Some("4711")));
/// assert_eq!(fault.message(), "tom is somebody else");
/// assert!(matches!(fault.find_source(), Some(ImError::NameTaken(_))));
///
/// let fault = Fault::from(ImError::Store(std::io::Error::other("disk full")));
/// assert_eq!((fault.reason(), fault.message()), ("STORE", "internal error"));
/// assert!(fault.find_source::<std::io::Error>().is_some());
/// assert_eq!(Fault::from(ImError::UserNotFound).reason(), "USER_NOT_FOUND");
/// # assert_eq!(Fault::from(ImError::Other(fault)).reason(), "STORE");
/// ```
#[proc_macro_derive(Fault, attributes(fault, source))]
pub fn derive_fault(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    fault::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct the type of a section of the configuration, which `#[settings("users")]` names.
///
/// The struct also derives `Deserialize` (with `#[serde(default)]`, so that what is not set comes
/// from its `Default`) and garde's `Validate`. A module declares the section with
/// `m.settings::<UserSettings>()`; then everybody can take a `Settings<UserSettings>`.
/// `#[settings(crate = path)]` says where to find polyport, if not at `::polyport`.
///
/// # Examples
/// ```
/// # extern crate polyport_bootstrap as polyport;
/// use garde::Validate;
/// use polyport::{Settings, config::SettingsSection};
/// use serde::Deserialize;
///
/// #[derive(Default, Deserialize, Validate, Settings)]
/// #[serde(default)]
/// #[settings("users")]
/// struct UserSettings {
///     #[garde(range(max = 100))]
///     page_size: u32,
/// }
///
/// assert_eq!(UserSettings::KEY, "users");
/// ```
#[proc_macro_derive(Settings, attributes(settings))]
pub fn derive_settings(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    settings::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Binds an operation's input from where each of its fields says that it comes from.
///
/// | field attribute | the value |
/// |---|---|
/// | none | the parameter of the route, the field of the query, or that of the body, the first that there is |
/// | `#[from(path)]` | the parameter of the route |
/// | `#[from(query)]` | the field of the query |
/// | `#[from(header)]` | the header, whose name is the field's in kebab case; on gRPC, AMQP and WebSocket the metadata |
/// | `#[from(cookie)]` | the cookie; the first where there are several, its value as it stands, without quotes around it |
/// | `#[from(body)]` | the field of the body: JSON, form, multipart, or what a module's codec reads |
/// | `#[from(path, header = "x-user")]` | the first of these that the call has; `= "…"` where the name is another than the field's |
///
/// A field is read by the name that `#[serde(rename)]` and `#[serde(rename_all)]` give it, and as
/// `#[serde(default)]` says where it is absent. An `Option` may be absent; a `Vec` takes every
/// value of a name that is repeated in a query, a form or the headers (a header's value is one
/// value: it is not divided at commas). The struct also derives garde's `Validate`, and it does
/// not derive serde's `Deserialize`: that would be a second way to bind it, and is an error of
/// conflicting implementations of `Bind`.
///
/// What stands in a field's other places is not looked at: a body cannot set a field that comes
/// from a header.
///
/// `#[input(crate = path)]` says where to find polyport, if not at `::polyport`.
///
/// # Examples
/// ```
/// # extern crate polyport_bootstrap as polyport;
/// use garde::Validate;
/// use http::HeaderMap;
/// use polyport::operation::{Bind, Input, RawInput, Unbound};
///
/// #[derive(Debug, Input, Validate)]
/// #[serde(rename_all = "camelCase")]
/// struct ListMessages {
///     #[from(path, header = "x-user")]
///     #[garde(length(min = 1))]
///     user_id: String,
///     #[from(query)]
///     #[serde(default)]
///     #[garde(range(max = 100))]
///     page_size: u32,
///     #[from(cookie = "session")]
///     #[garde(skip)]
///     session: Option<String>,
/// }
///
/// let input = RawInput { uri: "/?pageSize=20".parse()?, ..RawInput::default() };
/// let headers = HeaderMap::from_iter([("x-user".parse()?, "tom".parse()?)]);
/// let bound = ListMessages::bind(&Unbound::new(&input, &headers)).map_err(|f| f.to_string())?;
/// assert_eq!((bound.user_id.as_str(), bound.page_size), ("tom", 20));
/// assert_eq!(bound.session, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[proc_macro_derive(Input, attributes(from, input, serde))]
pub fn derive_input(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    input::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Lets the container build a type by an async function: `m.provide::<T>()` calls it, for the `T`
/// of its `Result<T>`. Of a type of another crate, give the function itself to
/// `m.provide_with(…)`; where all its arguments are injectable the two are equal.
///
/// Each argument is taken from the container, unless an attribute says otherwise:
/// `#[inject(name = "…")]`, `#[config("section.key")]`, `#[app]`, as on the fields of
/// [`Provide`](macro@Provide). The options are those of `#[provide(…)]` there, but for `init`.
///
/// # Examples
/// ```
/// # extern crate polyport_bootstrap as polyport;
/// use std::sync::Arc;
/// use polyport::{Result, container::ContainerBuilder};
///
/// struct Pool { url: String }
///
/// #[polyport::provide(eager, dispose = close)]
/// async fn connect(#[inject(name = "database")] url: Arc<String>) -> Result<Pool> {
///     Ok(Pool { url: url.to_string() })
/// }
///
/// impl Pool {
///     async fn close(&self) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// # #[polyport::main]
/// # async fn main() -> Result<()> {
/// let mut builder = ContainerBuilder::new();
/// builder.provide::<Pool>();
/// builder.provide_value(Arc::new("db://localhost".to_owned())).named("database");
/// assert_eq!(builder.build()?.get::<Pool>().await?.url, "db://localhost");
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn provide(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as Item);
    provide::expand_constructor(arguments.into(), item)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

#[doc = include_str!("test.md")]
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    test::expand(arguments.into(), function).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an `async fn main` the process's: it gets a runtime, and an error that it returns is
/// printed as a report on standard error and decides the exit code.
///
/// It also gives the program a command line, which `Bootstrap::run` obeys where it is awaited in
/// `main` itself (not in a task that `main` spawns):
///
/// | argument | what `run` does |
/// |---|---|
/// | none | starts and serves |
/// | `--graph`, `--graph=mermaid` | prints the graph of the application as a Mermaid flowchart, and starts nothing |
/// | `--graph=dot`, `--graph=json` | the same for Graphviz, or as data |
/// | `--operations`, `--operations=json` | prints every route, with its operation, guards and schemas |
/// | `--route GET /users`, `--route websocket users.get` | says which operation answers, with which chain, or why none does |
/// | `--help` | lists the arguments |
/// | any other | fails with exit code 64 and lists what there is |
///
/// `#[polyport::main(command_line = false)]` leaves the arguments to the program.
///
/// # Examples
/// ```
/// # extern crate polyport_bootstrap as polyport;
/// #[polyport::main]
/// async fn main() -> polyport::Result<()> {
///     let workers: usize = "4".parse()?;
///     assert_eq!(workers, 4);
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    entry::expand(arguments.into(), &function)
        .unwrap_or_else(|fault| entry::refuse(&function, &fault))
        .into()
}

/// Makes an operation of an async function, of which more can be said, and whose errors stand at
/// the argument that is wrong.
///
/// A plain function is an operation too; this adds attributes, a name and a pipeline, and the
/// schemas of its input and value where their types derive `JsonSchema`. The function's name
/// becomes a value that is registered like the function; the function itself is `name::run`.
///
/// | argument | meaning |
/// |---|---|
/// | `name = "users.delete"` | what logs and reports call it |
/// | `attr = Role::Admin` | a typed attribute that guards and interceptors read; may come several times |
/// | `pipeline = \|p\| p.guard(…)` | what stands around it |
/// | `crate = path` | where to find polyport, if not at `::polyport` |
///
/// # Examples
/// ```
/// # extern crate polyport_bootstrap as polyport;
/// use polyport::operation::{Ctx, Fault, Operation, operation};
///
/// #[derive(Debug, PartialEq)]
/// enum Role { Admin }
///
/// /// Says who asks.
/// #[operation(name = "who.am.i", attr = Role::Admin)]
/// async fn who_am_i(Ctx(context): Ctx) -> Result<String, Fault> {
///     Ok(context.request_id.to_string())
/// }
///
/// assert_eq!(who_am_i.info().name(), "who.am.i");
/// assert_eq!(who_am_i.info().attribute(), Some(&Role::Admin));
/// ```
#[proc_macro_attribute]
pub fn operation(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    operation::expand(arguments.into(), &function)
        .unwrap_or_else(|fault| refuse(&function, &fault))
        .into()
}

/// Makes operations of the methods of a struct that the container provides: what Nest and Midway
/// call a controller. A module registers it with `m.controller::<UserController>()`, which also
/// provides it.
///
/// | attribute of a method | serves it |
/// |---|---|
/// | `#[get("/{id}")]`, `#[post("/", status = StatusCode::CREATED)]`, `put`, `patch`, `delete`, `head`, `options` | over HTTP, below the controller's path |
/// | `#[websocket("users.get")]` | on this event |
/// | `#[grpc("im.v1.UserService/GetUser")]` | as this method; `request = pb::GetUserRequest, response = pb::User` name the messages where the types have no `GrpcType`; `stream` for a server stream |
/// | `#[amqp("users.get")]` | on this queue |
/// | `#[operation(attr = Role::Admin)]` | says more of it, as the macro [`operation`](macro@operation) does |
///
/// Each takes `on = "admin"` for a framework that has a name. The controller itself takes a path,
/// and `attr`, `pipeline` and `crate`, which hold for all its methods:
/// `#[controller("/users", pipeline = |p| p.guard(LoggedIn))]`.
///
/// # Examples
/// ```ignore
/// use polyport::prelude::*;
///
/// #[derive(Provide)]
/// pub struct UserController {
///     #[inject]
///     users: Arc<UserService>,
/// }
///
/// #[controller("/users")]
/// impl UserController {
///     #[get("/{userId}")]
///     #[websocket("users.get")]
///     #[grpc("im.v1.UserService/GetUser")]
///     #[amqp("users.get")]
///     async fn get(&self, Input(query): Input<GetUser>) -> Result<User, Fault> {
///         self.users.find(&query.user_id).await
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn controller(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let block = parse_macro_input!(item as ItemImpl);
    let own = block.clone();
    controller::expand(arguments.into(), block).unwrap_or_else(|fault| refuse(&own, &fault)).into()
}

/// The item as it is, beside the error: so that its other uses raise no errors of their own.
fn refuse(item: &impl quote::ToTokens, fault: &syn::Error) -> proc_macro2::TokenStream {
    let fault = fault.to_compile_error();
    quote::quote!(#item #fault)
}
