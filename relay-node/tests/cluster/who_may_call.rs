//! By gRPC applications issue and revoke, operators command, nodes ask each other: told by the names in certificates.

use edgerelay::cluster::contract::credentials_client::CredentialsClient;
use edgerelay::cluster::contract::fleet_client::FleetClient;
use edgerelay::cluster::contract::member_client::MemberClient;
use edgerelay::cluster::contract::{DrainRequest, IssueRequest, ListNodesRequest};
use tonic::Code;

use crate::fleet::{APPLICATION, Authority, Fleet, OPERATOR};
use edgerelay::cluster::api::dial;

fn for_alice() -> IssueRequest {
    IssueRequest { user: "alice".to_owned(), ..IssueRequest::default() }
}

#[tokio::test]
async fn each_may_call_what_it_is_there_for() {
    let fleet = Fleet::of(1);
    for (name, may_issue, may_list, may_be_a_node) in [
        (APPLICATION, true, false, false),
        (OPERATOR, true, true, false),
        ("relay.blue.edgerelay", true, true, true),
        ("relay.red.edgerelay", false, false, false),
        ("who.example.org", false, false, false),
    ] {
        let channel = fleet.call(0, &[name]).await.unwrap();
        let issued = CredentialsClient::new(channel.clone()).issue(for_alice()).await;
        let listed = FleetClient::new(channel.clone()).list_nodes(ListNodesRequest {}).await;
        let drained = MemberClient::new(channel).drain_self(DrainRequest::default()).await;
        assert_eq!((issued.is_ok(), listed.is_ok()), (may_issue, may_list), "{name}: {issued:?} {listed:?}");
        // It names no node, so that nothing is done.
        let code = if may_be_a_node { Code::FailedPrecondition } else { Code::PermissionDenied };
        assert_eq!(drained.unwrap_err().code(), code, "{name}");
        for refused in [issued.err(), listed.err()].into_iter().flatten() {
            assert_eq!(refused.code(), Code::PermissionDenied);
        }
    }
}

#[tokio::test]
async fn a_refusal_says_who_may_and_is_written_down() {
    let fleet = Fleet::of(1);
    let mut client = FleetClient::new(fleet.call(0, &[APPLICATION]).await.unwrap());
    let refused = client.drain(DrainRequest::default()).await.unwrap_err();
    assert_eq!(
        refused.message(),
        "app.example.org may not call edgerelay.v1.Fleet/Drain: only names in cluster.grpc.operators may"
    );
    let line = fleet.relays[0].daemon.line("a call was refused: it may not");
    assert_eq!(
        (line["caller"].as_str(), line["rpc"].as_str()),
        (Some(APPLICATION), Some("edgerelay.v1.Fleet/Drain"))
    );
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_none() {
    let fleet = Fleet::of(1);
    let own = Authority::new().certify("forged", &["relay.blue.edgerelay"]);
    let address = fleet.relays[0].grpc.to_string();
    let call = async {
        let channel = dial(&address, "blue", &own, &fleet.authority.file()).await.ok()?;
        CredentialsClient::new(channel).issue(for_alice()).await.ok()
    };
    assert!(call.await.is_none());
}

#[tokio::test]
async fn a_node_of_another_fleet_is_not_taken_for_one_of_this() {
    let fleet = Fleet::of(1);
    let own = fleet.authority.certify("operator", &[OPERATOR]);
    let address = fleet.relays[0].grpc.to_string();
    let error = dial(&address, "red", &own, &fleet.authority.file()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("the node at {address} cannot be reached")), "{error}");
}
