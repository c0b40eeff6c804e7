//! Applications get credentials by HTTPS, with a bearer token or a client certificate, and nobody else does.

use serde_json::Value;
use turn_client::Credential;

use crate::daemon::{Client, datagram_socket};
use crate::fleet::{APPLICATION, Fleet, TOKEN, answer};

const CLASSIC: &str = "GET /?service=turn&username=alice&ttl=60 HTTP/1.1\r\n\r\n";

fn post(body: &str) -> String {
    format!("POST /v1/credentials HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// Allocates with a name and password at every relay of the fleet.
fn assert_good(fleet: &Fleet, username: &str, password: &str) {
    for relay in &fleet.relays {
        let wire = datagram_socket("127.0.0.1:0");
        wire.connect(relay.daemon.address("udp")).unwrap();
        let mut client = Client::of(Credential::new(username, password), wire);
        client.allocate();
        client.refresh(0);
    }
}

#[test]
fn an_application_gets_what_a_browser_takes() {
    let fleet = Fleet::of(2);
    let (code, body) = fleet.web(0, TOKEN, &post(r#"{"user": "alice", "tenant": "t1", "ttl": 60}"#));
    assert_eq!(code, 200, "{body}");
    let told = json(&body);
    assert_eq!(told["ttl"], 60);
    let server = &told["iceServers"][0];
    let urls: Vec<_> = server["urls"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    assert!(urls[0].starts_with("turn:192.0.2."), "nodes first: {urls:?}");
    assert_eq!(*urls.last().unwrap(), "turn:turn.example.org:3478?transport=udp");
    let [username, password] = ["username", "credential"].map(|name| server[name].as_str().unwrap());
    assert!(username.ends_with(":t1:alice"), "{username}");
    assert_good(&fleet, username, password);
}

#[test]
fn the_classic_request_gets_the_classic_answer() {
    let fleet = Fleet::of(1);
    let (code, body) = fleet.web(0, TOKEN, CLASSIC);
    assert_eq!(code, 200, "{body}");
    let told = json(&body);
    let mut names: Vec<_> = told.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["password", "ttl", "uris", "username"]);
    assert_eq!(told["ttl"], 60);
    assert_good(&fleet, told["username"].as_str().unwrap(), told["password"].as_str().unwrap());
}

#[test]
fn who_is_not_known_gets_nothing() {
    let fleet = Fleet::of(1);
    for request in
        [CLASSIC.to_owned(), post(r#"{"user": "alice"}"#), "GET /metrics HTTP/1.1\r\n\r\n".to_owned()]
    {
        let (code, body) = fleet.web(0, "a wrong token", &request);
        assert_eq!(code, 401, "{body}");
        assert!(json(&body)["error"].as_str().unwrap().starts_with("it is not known who asks: send `Auth"));
    }
    let line = fleet.relays[0].daemon.line("a caller was refused: it is not known who asks");
    assert_eq!(line["door"], "https");
}

#[test]
fn a_client_certificate_is_as_good_as_a_token() {
    let fleet = Fleet::of(1);
    let request = CLASSIC.replace("\r\n\r\n", "\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let ask = |name: &str| {
        let own = fleet.authority.certify(name, &[name]);
        answer(&mut fleet.https(0, Some(&own)), &request).0
    };
    assert_eq!(ask(APPLICATION), 200);
    assert_eq!(ask("other.example.org"), 401);
    let log = fleet.relays[0].daemon.log();
    let issued = |line: &&String| line.contains("credential issued") && line.contains("\"user\":\"alice\"");
    let line = json(log.iter().find(issued).unwrap());
    assert_eq!(line["caller"], APPLICATION);
}

#[test]
fn what_is_wrong_is_told_in_plain_words() {
    let fleet = Fleet::of(1);
    for (request, code, sentence) in [
        (post(r#"{"usr": "alice"}"#), 400, "unknown field `usr`"),
        (post(r#"{"user": ""}"#), 400, "no user is named"),
        (post(r#"{"user": "t2:alice"}"#), 400, "the user holds ':'"),
        (post(&format!(r#"{{"user": "{}"}}"#, "a".repeat(5000))), 413, "at most 4096 bytes"),
        ("GET /?service=stun&username=a HTTP/1.1\r\n\r\n".to_owned(), 400, "say service=turn"),
        ("GET /?service=turn HTTP/1.1\r\n\r\n".to_owned(), 400, "no user is named"),
        ("GET /v1/credentials HTTP/1.1\r\n\r\n".to_owned(), 405, "POST to /v1/credentials"),
        ("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), 404, "there is no such page"),
    ] {
        let (told, body) = fleet.web(0, TOKEN, &request);
        assert_eq!(told, code, "{request}: {body}");
        assert!(json(&body)["error"].as_str().unwrap().contains(sentence), "{body}");
    }
}

#[test]
fn who_asks_too_often_is_told_to_wait() {
    let fleet = Fleet::with(1, "cluster.issuing.per_caller_per_second = 2");
    let codes: Vec<_> = (0..5).map(|_| fleet.web(0, TOKEN, CLASSIC)).collect();
    let refused = codes.iter().find(|(code, _)| *code == 429).expect("five at once are too many");
    assert!(json(&refused.1)["error"].as_str().unwrap().starts_with("2 requests a second are taken"));
    fleet.relays[0].daemon.line("credential refused");
}
