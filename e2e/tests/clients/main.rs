//! Real clients in network namespaces of their own, a file for each.

mod aioice_agents;
mod chromium_peers;
mod coturn_client;
mod coturn_stun_client;
mod pion_client;
