//! What a node answers to other nodes, operators and applications, by gRPC with mutual TLS.

mod callers;
mod credentials;
mod dial;
mod door;
mod doors;
mod fleet;
mod gate;
mod member;
mod own;

use axum::Router;
use tonic::service::Routes;

pub use callers::{Admitted, Caller, Callers, Role, Unwelcome, node_name};
pub use dial::{DialError, dial};
pub use door::{Door, DoorError, Speaks};
pub use doors::Doors;

use super::Context;
use super::contract::credentials_server::CredentialsServer;
use super::contract::fleet_server::FleetServer;
use super::contract::member_server::MemberServer;
use super::issuing::Desk;
use own::Own;

/// Bytes of a message: the longest names take a few hundred.
const MESSAGE: usize = 16 * 1024;

/// The services, for those that `callers` names.
pub fn services(context: &Context, desk: Desk, callers: Callers) -> Router {
    let credentials = credentials::Service { context: context.clone(), desk };
    let own = Own::new(context.clone());
    let fleet = fleet::Service::new(context.clone(), own.clone());
    let services = Routes::new(CredentialsServer::new(credentials).max_decoding_message_size(MESSAGE))
        .add_service(FleetServer::new(fleet).max_decoding_message_size(MESSAGE))
        .add_service(MemberServer::new(member::Service { own }).max_decoding_message_size(MESSAGE));
    gate::guard(services.prepare().into_axum_router(), callers)
}
