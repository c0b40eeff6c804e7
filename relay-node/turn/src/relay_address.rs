//! The node's addresses that relayed addresses are made of.

use std::net::IpAddr;

use crate::per_family::PerFamily;

/// One of the node's addresses, as the node and as the world sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayAddress {
    /// What sockets bind.
    pub bind: IpAddr,
    /// What peers see: another one behind a 1:1 NAT.
    pub advertised: IpAddr,
}

/// The addresses that relayed addresses are made of: at most one for the peers of each family.
pub type RelayAddresses = PerFamily<Option<RelayAddress>>;
