//! Certificates are renewed while streams live.

use edgerelay::cluster::contract::WatchLoadRequest;
use edgerelay::cluster::contract::fleet_client::FleetClient;

use crate::daemon::wait_until;
use crate::fleet::{Fleet, OPERATOR, TOKEN};

#[tokio::test]
async fn new_connections_see_the_new_one_and_a_stream_goes_on() {
    let fleet = Fleet::of(1);
    let mut watching = FleetClient::new(fleet.call(0, &[OPERATOR]).await.unwrap());
    let mut loads = watching.watch_load(WatchLoadRequest {}).await.unwrap().into_inner();
    loads.message().await.unwrap().unwrap();
    let shown = || {
        let mut stream = fleet.https(0, None);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        stream.conn.peer_certificates().unwrap()[0].clone()
    };
    let before = shown();
    fleet.authority.certify("a", &["relay.blue.edgerelay", "localhost"]);
    wait_until("the new certificate", || shown() != before);
    assert_eq!(fleet.web(0, TOKEN, "GET /?service=turn&username=alice HTTP/1.1\r\n\r\n").0, 200);
    assert!(fleet.command(0, &["nodes"]).status.success());
    for _ in 0..2 {
        loads.message().await.unwrap().expect("the stream lives");
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_of_and_the_old_one_stays() {
    let fleet = Fleet::of(1);
    let files = fleet.authority.certify("other", &["localhost"]);
    // Its key is not there yet, as in the middle of a renewal.
    std::fs::copy(files.certificate, fleet.authority.file().with_file_name("a.crt")).unwrap();
    let line = fleet.relays[0].daemon.line("the certificate in use stays");
    assert!(line["error"].as_str().unwrap().contains("cannot be used together"), "{line}");
    assert_eq!(fleet.web(0, TOKEN, "GET /?service=turn&username=alice HTTP/1.1\r\n\r\n").0, 200);
}
