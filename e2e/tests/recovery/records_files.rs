//! Files of records that are torn, forged or somebody else's: a relay says so, starts, and trusts nothing in them.

use std::fs::{self, File, OpenOptions, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use edgerelay_e2e::Network;
use edgerelay_e2e::binary;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::steady::good_client_works;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rustix::fs::{Gid, SeekFrom, Uid, chown, seek};

use crate::place::Place;
use crate::scene::{SETTINGS, seed};

const CLIENTS: usize = 20;
const ALLOCATION_MISMATCH: u16 = 437;
const NOBODY: u32 = 65_534;
/// Bytes of a file's header; its check is the last word.
const HEADER: usize = 64;
/// Bits that are changed in a file.
const FLIPS: usize = 10;

#[test]
fn torn() {
    for length in [0, 7, HEADER as u64 - 1] {
        nothing_is_trusted(&format!("cut off after {length} bytes"), |path| {
            open(path).set_len(length).expect("it is ours");
        });
    }
}

#[test]
fn made_of_anything() {
    let mut random = StdRng::seed_from_u64(seed());
    nothing_is_trusted("at random", |path| {
        let mut bytes = vec![0; 1 << 20];
        random.fill_bytes(&mut bytes);
        open(path).write_all_at(&bytes, 0).expect("there is room");
    });
}

#[test]
fn with_another_header_whose_check_is_right() {
    // Where each field begins.
    for (what, field) in [
        ("layout", 8),
        ("version", 12),
        ("generation", 16),
        ("boot", 24),
        ("time namespace", 40),
        ("worker", 48),
    ] {
        nothing_is_trusted(&format!("of another {what}"), |path| {
            let (file, mut header) = (open(path), [0; HEADER]);
            file.read_exact_at(&mut header, 0).expect("it has a header");
            header[field] ^= 0x5A;
            let check = crc32fast::hash(&header[..HEADER - 4]);
            header[HEADER - 4..].copy_from_slice(&check.to_ne_bytes());
            file.write_all_at(&header, 0).expect("it is ours");
        });
    }
}

#[test]
fn of_another_user() {
    nothing_is_trusted("of nobody", |path| {
        chown(path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).expect("root may");
    });
}

#[test]
fn that_others_may_write() {
    nothing_is_trusted("open to all", |path| {
        fs::set_permissions(path, Permissions::from_mode(0o666)).expect("it is ours");
    });
}

#[test]
fn that_are_links_to_elsewhere() {
    nothing_is_trusted("elsewhere", |path| {
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        let elsewhere = path.with_file_name(format!("../{name}"));
        fs::rename(path, &elsewhere).expect("it is ours");
        symlink(&elsewhere, path).expect("it is ours");
    });
}

/// Of each allocation all is as it was, or nothing is there.
#[test]
fn with_flipped_bits() {
    let mut random = StdRng::seed_from_u64(seed());
    for round in 0..5 {
        let network = Network::new();
        let place = Place::new();
        let scene = Scene::begin(&network, &place);
        for path in records_in(&place.vault()) {
            let file = open(&path);
            let written = written(&file);
            for _ in 0..written.len().min(FLIPS) {
                let (place, byte) = written[random.random_range(0..written.len())];
                file.write_all_at(&[byte ^ 1 << random.random_range(0..8)], place).expect("it is ours");
            }
        }
        let (survivors, _) = scene.start_again(&place);
        println!("round {round}: {survivors} of {CLIENTS} allocations go on");
        assert!(survivors > 0, "what was not changed is as good as before");
    }
}

/// Spoils each file of records of a relay that was killed; the next one says so, and has no allocation of them.
fn nothing_is_trusted(what: &str, mut spoil: impl FnMut(&Path)) {
    let network = Network::new();
    let place = Place::new();
    let scene = Scene::begin(&network, &place);
    records_in(&place.vault()).iter().for_each(|path| spoil(path));
    let (survivors, log) = scene.start_again(&place);
    assert_eq!(survivors, 0, "allocations go on by records {what}");
    let mut lines = log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR "));
    let said = lines
        .find(|line| line.contains("records."))
        .unwrap_or_else(|| panic!("nothing was said of records {what}"));
    println!("{what}: {said}");
}

/// A relay that was killed with its keeper, and its clients.
struct Scene<'n> {
    network: &'n Network,
    relay: Relay<'n>,
    peer: Peer,
    clients: Vec<(Client, SocketAddr)>,
}

impl<'n> Scene<'n> {
    fn begin(network: &'n Network, place: &Place) -> Self {
        let mut relay = Relay::undisturbed(network, &place.settings(&SETTINGS));
        let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
        let clients = (0..CLIENTS).map(|_| {
            let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("alice"));
            let relayed = client.allocate().expect("within the limits");
            client.permit(peer.address()).expect("the peer's address is public");
            (client, relayed)
        });
        let clients = clients.collect();
        relay.kill_all();
        relay.process().wait(crate::scene::SOON);
        Self { network, relay, peer, clients }
    }

    /// Starts it again: how many allocations go on, each as it was, and what the relay says.
    fn start_again(mut self, place: &Place) -> (usize, String) {
        let next = self.relay.another(binary::relay(), &place.settings(&SETTINGS));
        self.relay.becomes(next);
        self.relay.await_ready();
        let mut survivors = 0;
        for (client, relayed) in &mut self.clients {
            match client.refresh(600) {
                Ok(()) => survivors += 1,
                Err(code) => {
                    assert_eq!(code, ALLOCATION_MISMATCH);
                    continue;
                }
            }
            // Its permission may be gone; its address is not another's.
            client.permit(self.peer.address()).expect("the peer's address is public");
            client.send_to(self.peer.address(), b"still there");
            assert_eq!(self.peer.receive(), Some((*relayed, b"still there".to_vec())));
        }
        assert_eq!(self.relay.allocations(), survivors as u64);
        good_client_works(self.network, &self.relay);
        (survivors, self.relay.log())
    }
}

fn records_in(vault: &Path) -> Vec<PathBuf> {
    let files =
        fs::read_dir(vault).expect("the relay made it").map(|file| file.expect("nobody changes it").path());
    let is_records =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("records."));
    let records: Vec<_> = files.filter(is_records).collect();
    assert!(!records.is_empty(), "there are no records in {}", vault.display());
    records
}

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).expect("it is ours")
}

/// The bytes of a sparse file that are not zero, each with its place, but for the header.
fn written(file: &File) -> Vec<(u64, u8)> {
    let (mut written, mut behind) = (Vec::new(), 0);
    while let Ok(data) = seek(file, SeekFrom::Data(behind)) {
        behind = seek(file, SeekFrom::Hole(data)).expect("there is one behind all data");
        let mut bytes = vec![0; (behind - data) as usize];
        file.read_exact_at(&mut bytes, data).expect("it is in the file");
        written.extend((data..).zip(bytes).filter(|(place, byte)| *place >= HEADER as u64 && *byte != 0));
    }
    written
}
