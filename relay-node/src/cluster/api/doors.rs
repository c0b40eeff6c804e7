//! The doors of a node: by which the fleet and its operators come in, and by which applications do.

use std::future::pending;

use super::callers::Callers;
use super::door::{Door, DoorError, Speaks};
use super::services;
use crate::cluster::issuing::{Desk, https};
use crate::cluster::{Context, Places};
use crate::config::{Cluster, Files};
use crate::tls::Visitors;

/// The doors that the configuration names, bound.
pub struct Doors {
    grpc: Option<Door>,
    https: Option<Door>,
}

impl Doors {
    /// Binds them, with the certificates in `files`. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// When an address cannot be bound, or a certificate cannot be used.
    pub fn open(config: &Cluster, files: &Files) -> Result<Self, DoorError> {
        let grpc = config.grpc.as_ref().map(|grpc| {
            let visitors = Visitors::Certified(grpc.ca_file.clone());
            Door::open("cluster.grpc", grpc.address, grpc.identity.clone(), visitors, Speaks::Grpc, files)
        });
        let https = config.https.as_ref().map(|https| {
            let visitors = https.ca_file.clone().map_or(Visitors::Anybody, Visitors::MayBeCertified);
            Door::open("cluster.https", https.address, https.identity.clone(), visitors, Speaks::Http, files)
        });
        Ok(Self { grpc: grpc.transpose()?, https: https.transpose()? })
    }

    /// What is bound.
    pub fn places(&self) -> Places {
        let place = |door: &Option<Door>| door.as_ref().and_then(|door| door.address().ok());
        Places { grpc: place(&self.grpc), https: place(&self.https) }
    }

    /// Lets callers in as long as this is polled.
    pub(in crate::cluster) async fn serve(self, context: Context) {
        let Places { grpc, https } = self.places();
        for (address, message) in [(grpc, "gRPC listening"), (https, "HTTPS listening")] {
            if let Some(address) = address {
                tracing::info!(%address, "{message}");
            }
        }
        let desk = Desk::new(context.clone());
        let for_fleet = async {
            match (self.grpc, &context.config.grpc) {
                (Some(door), Some(grpc)) => {
                    let callers = Callers::new(&context.config.fleet, grpc);
                    door.serve(services(&context, desk.clone(), callers)).await;
                }
                _ => pending().await,
            }
        };
        let for_applications = async {
            match (self.https, &context.config.https) {
                (Some(door), Some(https)) => door.serve(https::pages(https, desk.clone())).await,
                _ => pending().await,
            }
        };
        tokio::join!(for_fleet, for_applications);
    }
}
