//! Clients for the gRPC frameworks of an application under test.

use http::Uri;
use hyper_util::rt::TokioIo;
use polyport_bootstrap::{DEFAULT_NAME, framework::reachable, testing::TestApp};
use polyport_listener::{
    Door,
    testing::{BoxClientIo, Speaks},
};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::GrpcApp;

/// What this crate adds to an application under test: any generated client, by its constructor,
/// whether the application listens on sockets or in memory. It connects at its first call; where
/// that fails, the call's status says why.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::testing::TestApp;
/// use polyport_grpc::testing::GrpcTest;
/// use polyport_proto::helloworld::{HelloRequest, greeter_client::GreeterClient};
///
/// async fn greets(app: TestApp) {
///     let mut client = app.grpc(GreeterClient::new);
///     let reply = client.say_hello(HelloRequest { name: "Tom".into() }).await;
///     assert_eq!(reply.unwrap().into_inner().message, "Hello Tom!");
/// }
/// ```
pub trait GrpcTest {
    /// A client of the gRPC framework that has no name of its own, on a connection of its own:
    /// `app.grpc(GreeterClient::new)`. tonic's clients have no trait in common, but each has a
    /// constructor; `|channel| GreeterClient::with_interceptor(channel, …)` is one, too.
    ///
    /// # Panics
    /// Panics where none is loaded, and outside a tokio runtime.
    #[track_caller]
    fn grpc<C>(&self, client: impl FnOnce(Channel) -> C) -> C {
        self.grpc_on(DEFAULT_NAME, client)
    }

    /// A client of the gRPC framework of this name.
    ///
    /// # Panics
    /// Panics where none is loaded, and outside a tokio runtime.
    #[track_caller]
    fn grpc_on<C>(&self, name: &str, client: impl FnOnce(Channel) -> C) -> C;
}

impl GrpcTest for TestApp {
    fn grpc_on<C>(&self, name: &str, client: impl FnOnce(Channel) -> C) -> C {
        match self.app_named::<GrpcApp>(name) {
            Ok(app) => client(channel(&app)),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[track_caller]
fn channel(app: &GrpcApp) -> Channel {
    let Some(door) = app.door().cloned() else { panic!("{app:?} has no listener yet") };
    let address = door.local_addr().map(|address| reachable(address).to_string());
    let uri = format!("http://{}", address.as_deref().unwrap_or("localhost"));
    match Endpoint::from_shared(uri) {
        Ok(endpoint) => endpoint.connect_with_connector_lazy(service_fn(move |_: Uri| {
            let door = door.clone();
            async move { connect(&door).await }
        })),
        Err(error) => panic!("the address of {app:?} is no URI: {error}"),
    }
}

async fn connect(door: &Door) -> std::io::Result<TokioIo<BoxClientIo>> {
    Ok(TokioIo::new(door.connect(Speaks::Http2).await?))
}
