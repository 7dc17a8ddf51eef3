//! Clients of other gRPC services, as providers.

mod body;
mod channel;
mod outgoing;
mod settings;
mod targets;

use std::{future::ready, sync::Arc};

use polyport_bootstrap::{Module, ModuleBuilder, Result};

pub use self::{
    channel::{GrpcChannel, OrFault},
    settings::{GrpcClientSettings, GrpcClientTls, GrpcKeepAlive},
};

/// The module that provides a [`GrpcChannel`] for each entry of `grpc.clients`. It needs no gRPC
/// framework.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Bootstrap, Fault, Provide};
/// use polyport_grpc::{GrpcChannel, GrpcClients, OrFault};
/// use polyport_proto::helloworld::{HelloRequest, greeter_client::GreeterClient};
///
/// #[derive(Provide)]
/// # #[provide(crate = polyport_bootstrap)]
/// struct Welcome {
///     /// Of `grpc.clients.greeter`.
///     #[inject(grpc = "greeter")]
///     greeter: GreeterClient<GrpcChannel>,
/// }
///
/// impl Welcome {
///     async fn to(&self, name: &str) -> Result<String, Fault> {
///         let request = HelloRequest { name: name.to_owned() };
///         let reply = self.greeter.clone().say_hello(request).await.or_fault()?;
///         Ok(reply.into_inner().message)
///     }
/// }
///
/// let bootstrap = Bootstrap::new().module(GrpcClients);
/// # drop((Welcome::to, bootstrap));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct GrpcClients;

impl Module for GrpcClients {
    fn name(&self) -> &'static str {
        "grpc_clients"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.settings::<GrpcClientSettings>().settings::<settings::Sections>();
        let root = m.config().root().to_owned();
        m.family("grpc", move |settings: GrpcClientSettings, name: String| {
            let place = format!("grpc.clients.{name}");
            let channel = GrpcChannel::open(name, &settings.within(&root));
            ready(channel.map_err(|error| error.context(place)))
        })
        .on_dispose(|channel: Arc<GrpcChannel>| {
            channel.close();
            ready(Ok(()))
        });
        Ok(())
    }
}
