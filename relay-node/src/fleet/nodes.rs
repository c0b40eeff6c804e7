//! `edgerelay nodes`.

use tonic::transport::Channel;

use super::reach::Output;
use super::{Answer, FleetError, Reach};
use crate::cluster::contract::fleet_client::FleetClient;
use crate::cluster::contract::{ListNodesRequest, Load, Node, WatchLoadRequest, state_name};

/// How the nodes are told of.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    reach: Reach,
    /// Tell the load of the node that is asked, each second, until this is interrupted.
    #[arg(long)]
    watch: bool,
}

const COLUMNS: &[&str] = &[
    "NODE",
    "STATE",
    "ZONE",
    "ALLOCATIONS",
    "CAPACITY",
    "MBIT/S",
    "PACKETS/S",
    "UP",
    "VERSION",
    "ADDRESSES",
    "DEGRADED",
];

pub(super) async fn run(Args { reach, watch }: Args) -> Result<Answer, FleetError> {
    let mut fleet = FleetClient::new(reach.connect().await?);
    if watch {
        return watch_load(fleet, reach.output).await;
    }
    let told = fleet.list_nodes(ListNodesRequest {}).await?.into_inner();
    Ok(Answer::table(reach.output, COLUMNS, &told.nodes, cells).unless(told.incomplete_because))
}

fn cells(node: &Node) -> Vec<String> {
    let Load { allocations, capacity, bits_per_second, packets_per_second } = node.load.unwrap_or_default();
    vec![
        node.name.clone(),
        state_name(node.state).to_owned(),
        node.zone.clone(),
        allocations.to_string(),
        capacity.to_string(),
        (bits_per_second / 1_000_000).to_string(),
        packets_per_second.to_string(),
        humantime::format_duration(std::time::Duration::from_secs(node.seconds_up)).to_string(),
        node.version.clone(),
        node.addresses.join(" "),
        node.degraded_because.clone(),
    ]
}

/// Prints lines as they come; there is no last one but where the node ends.
#[expect(clippy::print_stdout, reason = "the answer of a command")]
async fn watch_load(mut fleet: FleetClient<Channel>, output: Output) -> Result<Answer, FleetError> {
    let mut loads = fleet.watch_load(WatchLoadRequest {}).await?.into_inner();
    while let Some(load) = loads.message().await? {
        let Load { allocations, capacity, bits_per_second, packets_per_second } = load;
        match output {
            Output::Table => println!(
                "{allocations} of {capacity} allocations, {bits_per_second} bit/s, {packets_per_second} packets/s"
            ),
            Output::Json => println!("{}", serde_json::to_string(&load).unwrap_or_default()),
        }
    }
    Ok(Answer { text: String::new(), incomplete: Some("the node has ended".to_owned()) })
}
