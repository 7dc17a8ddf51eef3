//! Clients for the gRPC frameworks of an application under test.

use std::future::Future;

use polyport_bootstrap::{Application, DEFAULT_NAME, testing::TestApp};
use tonic::transport::{Channel, Endpoint};

use crate::GrpcApp;

/// What this crate adds to an application under test: channels for any generated client.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::testing::TestApp;
/// use polyport_grpc::testing::GrpcTest;
/// use polyport_proto::helloworld::{HelloRequest, greeter_client::GreeterClient};
///
/// async fn greets(app: TestApp) {
///     let mut client = GreeterClient::new(app.grpc().await);
///     let reply = client.say_hello(HelloRequest { name: "Tom".into() }).await;
///     assert_eq!(reply.unwrap().into_inner().message, "Hello Tom!");
/// }
/// ```
pub trait GrpcTest {
    /// A new connection to the gRPC framework that has no name of its own.
    ///
    /// # Panics
    /// Panics where none is loaded, or it cannot be reached.
    fn grpc(&self) -> impl Future<Output = Channel> + Send;

    /// A new connection to the gRPC framework of this name.
    ///
    /// # Panics
    /// Panics where none is loaded, or it cannot be reached.
    fn grpc_on(&self, name: &str) -> impl Future<Output = Channel> + Send;
}

impl GrpcTest for TestApp {
    async fn grpc(&self) -> Channel {
        self.grpc_on(DEFAULT_NAME).await
    }

    #[allow(clippy::expect_used, reason = "a test wants to fail here, and with these words")]
    async fn grpc_on(&self, name: &str) -> Channel {
        let app = self.app_named::<GrpcApp>(name).expect("the framework is loaded");
        assert!(app.local_addr().is_some(), "gRPC framework {name:?} is not bound");
        let uri = app.url().unwrap_or_default();
        let endpoint = Endpoint::from_shared(uri).expect("the address is a URI");
        endpoint.connect().await.expect("the gRPC framework can be reached")
    }
}
