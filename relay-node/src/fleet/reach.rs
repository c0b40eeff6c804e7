//! Which fleet is meant, and how it is called.

use std::env::vars_os;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tonic::transport::Channel;

use super::FleetError;
use crate::cli::ConfigArgs;
use crate::cluster::api::dial;
use crate::config::{Cluster, Config, Host, Identity, Problems};

/// Which fleet, by which of its nodes, and as whom. On a node, its configuration says all of that.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Which fleet")]
pub struct Reach {
    /// Where a node of the fleet answers by gRPC.
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// The fleet's name, which its nodes' certificates have.
    #[arg(long, value_name = "NAME")]
    pub fleet: Option<String>,
    /// Your certificate chain (PEM), with a name in cluster.grpc.operators or issuers.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// A file of certificates (PEM) of the authority that nodes' certificates come from.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// A relay's configuration file (TOML), whose [cluster.grpc] says what is not given here.
    #[arg(long, value_name = "FILE", env = "EDGERELAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// All that a call takes.
struct Way {
    address: String,
    fleet: String,
    identity: Identity,
    ca_file: PathBuf,
}

impl Reach {
    /// Connects to the node.
    ///
    /// # Errors
    /// When it is not known which, or it does not answer.
    pub(super) async fn connect(&self) -> Result<Channel, FleetError> {
        let Way { address, fleet, identity, ca_file } = self.way()?;
        Ok(dial(&address, &fleet, &identity, &ca_file).await?)
    }

    fn way(&self) -> Result<Way, FleetError> {
        let given =
            self.address.is_some() && self.fleet.is_some() && self.key.is_some() && self.ca_file.is_some();
        let cluster = if given { None } else { self.configured()? };
        let grpc = cluster.as_ref().and_then(|cluster| cluster.grpc.as_ref());
        let certified = self.certificate.clone().zip(self.key.clone());
        let given = certified.map(|(certificate, key)| Identity { certificate, key });
        Ok(Way {
            address: (self.address.clone())
                .or_else(|| grpc.map(|grpc| grpc.advertised.to_string()))
                .ok_or(FleetError::Missing("which node to ask: give one by --address HOST:PORT"))?,
            fleet: (self.fleet.clone())
                .or_else(|| cluster.as_ref().map(|cluster| cluster.fleet.clone()))
                .ok_or(FleetError::Missing("which fleet is meant: give its name by --fleet NAME"))?,
            identity: given
                .or_else(|| grpc.map(|grpc| grpc.identity.clone()))
                .ok_or(FleetError::Missing("who asks: give --certificate FILE and --key FILE"))?,
            ca_file: (self.ca_file.clone())
                .or_else(|| grpc.map(|grpc| grpc.ca_file.clone()))
                .ok_or(FleetError::Missing("whose nodes to trust: give --ca-file FILE"))?,
        })
    }

    /// What the configuration says, where there is one.
    fn configured(&self) -> Result<Option<Cluster>, FleetError> {
        if self.config.is_none() {
            return Ok(None);
        }
        let arguments = ConfigArgs { config: self.config.clone(), ..ConfigArgs::default() };
        let (config, _) =
            Config::load(arguments.layers(vars_os())?, Host::detect().map_err(Problems::from)?)?;
        config.cluster.filter(|cluster| cluster.grpc.is_some()).map(Some).ok_or(FleetError::NoGrpc)
    }
}
