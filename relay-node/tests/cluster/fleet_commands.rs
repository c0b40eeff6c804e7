//! `edgerelay nodes`, `sessions`, `end`, `drain`, `undrain`, `usage` and `issue`, through any node.

use std::net::UdpSocket;

use serde_json::Value;
use turn_client::Credential;

use crate::daemon::{Client, datagram_socket, edgerelay, run, text, wait_until};
use crate::fleet::Fleet;

fn call(fleet: &Fleet, at: usize, user: &str) -> Client<UdpSocket> {
    let told = fleet.ask(0, &["issue", "--user", user, "--tenant", "t1"]);
    let part = |name: &str| told[name].as_str().unwrap().to_owned();
    let wire = datagram_socket("127.0.0.1:0");
    wire.connect(fleet.relays[at].daemon.address("udp")).unwrap();
    let mut client = Client::of(Credential::new(part("username"), part("password")), wire);
    client.allocate();
    client
}

fn rows(told: &Value) -> &Vec<Value> {
    told.as_array().unwrap()
}

fn state(fleet: &Fleet, at: usize, of: &str) -> Option<String> {
    let nodes = fleet.ask(at, &["nodes"]);
    let node = rows(&nodes).iter().find(|node| node["name"] == of)?;
    node["state"].as_str().map(str::to_owned)
}

#[test]
fn any_node_tells_of_all_of_them() {
    let fleet = Fleet::of(3);
    for at in 0..3 {
        wait_until("all three are there", || rows(&fleet.ask(at, &["nodes"])).len() == 3);
    }
    let table = fleet.command(1, &["nodes"]);
    let table = text(&table.stdout);
    assert!(table.starts_with("NODE  STATE"), "{table}");
    assert!(table.contains("192.0.2.3"), "{table}");
}

#[test]
fn a_node_drains_and_takes_calls_again_by_command_through_another() {
    let fleet = Fleet::of(2);
    wait_until("both are there", || rows(&fleet.ask(0, &["nodes"])).len() == 2);
    let told = fleet.command(0, &["drain", "b"]);
    assert_eq!(text(&told.stdout), "b takes no new calls and still serves 0\n", "{told:?}");
    wait_until("b drains", || state(&fleet, 0, "b").as_deref() == Some("draining"));
    assert_eq!(state(&fleet, 0, "a").as_deref(), Some("serving"));
    assert_eq!(fleet.relays[1].daemon.get("/ready").0, 200);
    assert!(fleet.command(0, &["undrain", "b"]).status.success());
    wait_until("b serves", || state(&fleet, 0, "b").as_deref() == Some("serving"));
    let nobody = fleet.command(0, &["drain", "z"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("there is no node z"), "{nobody:?}");
}

#[test]
fn sessions_are_listed_and_ended_wherever_they_live() {
    let fleet = Fleet::of(2);
    wait_until("both are there", || rows(&fleet.ask(0, &["nodes"])).len() == 2);
    let _calls = [call(&fleet, 0, "alice"), call(&fleet, 1, "alice"), call(&fleet, 1, "bob")];
    let sessions = |which: &[&str]| fleet.ask(0, &[&["sessions"], which].concat());
    wait_until("three sessions", || rows(&sessions(&[])).len() == 3);
    assert_eq!(rows(&sessions(&["--user", "alice"])).len(), 2);
    let at_b = sessions(&["--node", "b", "--user", "bob"]);
    let bob = &rows(&at_b)[0];
    assert_eq!((bob["tenant"].as_str(), bob["transport"].as_str()), (Some("t1"), Some("udp")));
    let id = bob["id"].as_str().unwrap();
    assert_eq!(fleet.ask(0, &["end", "--id", id])["ended"], 1);
    wait_until("bob's is gone", || rows(&sessions(&["--user", "bob"])).is_empty());
    assert_eq!(fleet.ask(0, &["end", "--user", "alice"])["ended"], 2);
    wait_until("all are gone", || rows(&sessions(&[])).is_empty());
}

#[test]
fn a_node_that_cannot_be_reached_is_told_of() {
    let mut fleet = Fleet::of(2);
    wait_until("both are there", || rows(&fleet.ask(0, &["nodes"])).len() == 2);
    fleet.relays[1].daemon.kill_all();
    let told = fleet.command(0, &["end", "--user", "alice"]);
    assert_eq!(told.status.code(), Some(3), "{told:?}");
    assert!(text(&told.stderr).contains("not every node was reached: b ("), "{told:?}");
}

#[test]
fn a_command_says_what_it_lacks() {
    let lacks = run(&["nodes"]);
    assert_eq!(lacks.status.code(), Some(2));
    let said = text(&lacks.stderr);
    assert!(
        said.contains("which node to ask: give one by --address HOST:PORT, or the configuration"),
        "{said}"
    );
    let all = run(&["end", "--address", "127.0.0.1:1"]);
    assert_eq!(all.status.code(), Some(2), "nobody ends all sessions by leaving something out");
    let fleet = Fleet::of(1);
    let mut nowhere = edgerelay(&["nodes", "--address", "127.0.0.1:1", "--fleet", "blue"]);
    let own = fleet.authority.certify("ops", &["ops.example.org"]);
    nowhere.arg("--certificate").arg(own.certificate).arg("--key").arg(own.key);
    let nowhere = nowhere.arg("--ca-file").arg(fleet.authority.file()).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("the node at 127.0.0.1:1 cannot be reached"), "{nowhere:?}");
}
