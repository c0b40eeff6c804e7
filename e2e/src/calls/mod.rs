//! Many calls at once, each 50 packets a second both ways, and what became of every packet.
//!
//! One thread speaks for all clients and for their peers: it sends what is due, takes in what comes, and keeps
//! allocations, permissions and channels alive by a plan. What its clients ask for beside that plan is counted: a
//! client that notices nothing asks for nothing.

mod caller;
mod flow;
mod packet;
mod report;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;

use crate::cores;
use crate::credential::Credential;
use crate::network::{Family, Network};
use crate::pace::Over;
use crate::relay::Relay;

pub use caller::{Caller, Kind, Requests};
pub use flow::Flow;
pub use report::{Impact, Report};

use packet::PAYLOAD;

/// From one packet of a call to the next.
pub const INTERVAL: Duration = Duration::from_millis(20);
/// So many packets leave each way before what has come is looked at.
const BATCH: usize = 64;
/// What is late by more is left out: else a stall of this machine would come as a burst.
const LATE: Duration = Duration::from_millis(200);
/// How often the load looks at what is due.
const TICK: Duration = Duration::from_millis(1);
/// How often it looks for requests without an answer.
const PATROL: Duration = Duration::from_millis(20);
/// How often each client refreshes what it has: sooner than it has to, so that requests are always under way.
const UPKEEP: Duration = Duration::from_secs(15);
/// What has not come so long after the end is lost.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes that wait at a peer, who has more clients than one.
const BUFFER: usize = 32 << 20;

/// Clients with an allocation each, and their peers.
#[derive(Debug)]
pub struct Calls {
    callers: Vec<Caller>,
    /// One of each family.
    peers: [UdpSocket; 2],
    ready: OwnedFd,
}

impl Calls {
    /// Sets `count` calls up, half of each [kind](Kind), of users who have `of_each_user` of them.
    pub fn begin(network: &Network, relay: &Relay<'_>, count: usize, of_each_user: usize) -> Self {
        Self::begin_as(network, relay, count, |number| relay.credential(&user_of(number, of_each_user)))
    }

    /// The same with credentials of the test's choice.
    pub fn begin_as(
        network: &Network,
        relay: &Relay<'_>,
        count: usize,
        credential: impl Fn(usize) -> Credential,
    ) -> Self {
        let peers = [Family::V4, Family::V6].map(|family| {
            let address = network.peer.address(family);
            let socket = network.peer.namespace.enter(|| UdpSocket::bind((address, 0)));
            let socket = socket.expect("the peer has this address");
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER).expect("root may");
            socket.set_nonblocking(true).expect("a socket can be");
            socket
        });
        let callers: Vec<_> = (0..count)
            .map(|number| {
                let kind = Kind::of(number);
                let peer = peers[usize::from(kind.family == Family::V6)].local_addr().expect("it is bound");
                Caller::begin(kind, &network.alice, relay, &credential(number), peer)
            })
            .collect();
        let ready = epoll::create(CreateFlags::CLOEXEC).expect("there are files left");
        let sockets = callers.iter().map(Caller::socket).chain(&peers);
        for (place, socket) in sockets.enumerate() {
            let data = EventData::new_u64(place as u64);
            epoll::add(&ready, socket, data, EventFlags::IN).expect("each socket is there once");
        }
        Self { callers, peers, ready }
    }

    /// The clients.
    pub fn callers(&self) -> &[Caller] {
        &self.callers
    }

    /// Talks until it is `over`, away from the relay's core; what became of it.
    pub fn talk(mut self, over: &AtomicBool) -> (Self, Report) {
        cores::leave_the_relays();
        cores::go_first();
        let begun = Instant::now();
        let mut talk = Talk { begun, packets: 0, upkeeps: 0, patrols: 0, last: begun, stall: Duration::ZERO };
        while !over.load(Ordering::Relaxed) {
            self.send_what_is_due(&mut talk);
            self.receive(&mut talk);
        }
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && !self.is_whole() {
            self.receive(&mut talk);
        }
        let report = Report::of(begun, talk.stall, &self.callers);
        (self, report)
    }

    /// Talks while `disturb` does its work; what became of it, and what that returned.
    pub fn during<T>(self, disturb: impl FnOnce() -> T) -> (Self, Report, T) {
        let over = AtomicBool::new(false);
        let over = &over;
        thread::scope(|scope| {
            let calls = scope.spawn(move || self.talk(over));
            let outcome = {
                let _over = Over(over);
                disturb()
            };
            let (calls, report) = calls.join().expect("the calls go on");
            (calls, report, outcome)
        })
    }

    /// Ends all allocations; who has called.
    pub fn leave(mut self) -> Vec<Caller> {
        self.callers.iter_mut().for_each(Caller::leave);
        self.callers
    }

    fn send_what_is_due(&mut self, talk: &mut Talk) {
        let count = self.callers.len();
        for _ in 0..BATCH {
            let Some(turn) = talk.packets_due(count) else { break };
            let (call, now) = (turn % count, talk.begun.elapsed());
            let caller = &mut self.callers[call];
            caller.talk(call, now);
            let mut payload = [0; PAYLOAD];
            packet::write(&mut payload, call, caller.down.send(now));
            let peer = &self.peers[usize::from(caller.kind().family == Family::V6)];
            peer.send_to(&payload, caller.relayed()).expect("the network is up");
        }
        while let Some(turn) = talk.upkeeps_due(count) {
            let caller = &mut self.callers[turn % count];
            // One after the other, so that each is asked for half as often.
            let request = caller.upkeep().nth(turn / count % 2).expect("there are two");
            caller.ask(request);
        }
        if talk.patrol_is_due() {
            self.callers.iter_mut().for_each(Caller::look_at_the_clock);
        }
    }

    /// Takes in what comes until the next tick.
    fn receive(&mut self, talk: &mut Talk) {
        let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
        let mut events = Vec::with_capacity(self.callers.len() + self.peers.len());
        // A signal is as good as a tick.
        let _ = epoll::wait(&self.ready, rustix::buffer::spare_capacity(&mut events), Some(&tick));
        talk.look_for_stalls();
        for event in &events {
            let place = event.data.u64() as usize;
            match self.callers.get_mut(place) {
                Some(caller) => caller.listen(place, talk.begun),
                None => self.peer_listens(place - self.callers.len(), talk.begun),
            }
        }
    }

    fn peer_listens(&mut self, place: usize, begun: Instant) {
        let mut bytes = [0; 2048];
        loop {
            match self.peers[place].recv_from(&mut bytes) {
                Ok((length, from)) => self.peer_heard(&bytes[..length], from, begun.elapsed()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A port of the relay was closed meanwhile.
                Err(_) => {}
            }
        }
    }

    fn peer_heard(&mut self, payload: &[u8], from: SocketAddr, now: Duration) {
        let Some((call, number)) = packet::read(payload) else {
            panic!("{payload:?} is no packet of a call")
        };
        let caller = &mut self.callers[call];
        assert_eq!(from, caller.relayed(), "a packet of call {call} came from elsewhere");
        assert!(caller.up.arrive(now, number), "packet {number} of call {call} was never sent");
    }

    fn is_whole(&self) -> bool {
        self.callers.iter().all(|caller| caller.up.seems_whole() && caller.down.seems_whole())
    }
}

/// The user of a call.
pub fn user_of(number: usize, of_each_user: usize) -> String {
    format!("caller {}", number / of_each_user)
}

/// How far the talk has come.
struct Talk {
    begun: Instant,
    packets: usize,
    upkeeps: usize,
    patrols: u32,
    last: Instant,
    stall: Duration,
}

impl Talk {
    /// The next packet that should have left; the calls take turns, so that packets leave at an even pace.
    fn packets_due(&mut self, calls: usize) -> Option<usize> {
        let elapsed = self.begun.elapsed();
        let left_out = elapsed.saturating_sub(LATE).as_nanos() * calls as u128 / INTERVAL.as_nanos();
        self.packets = self.packets.max(left_out as usize);
        Self::due(elapsed, INTERVAL, calls, &mut self.packets)
    }

    fn upkeeps_due(&mut self, calls: usize) -> Option<usize> {
        Self::due(self.begun.elapsed(), UPKEEP, calls, &mut self.upkeeps)
    }

    fn due(elapsed: Duration, interval: Duration, calls: usize, done: &mut usize) -> Option<usize> {
        let due = elapsed.as_nanos() * calls as u128 / interval.as_nanos();
        let turn = *done;
        ((turn as u128) < due).then(|| {
            *done += 1;
            turn
        })
    }

    fn patrol_is_due(&mut self) -> bool {
        let due = self.begun.elapsed() > PATROL * self.patrols;
        self.patrols += u32::from(due);
        due
    }

    /// How late the load itself was: gaps of that length are its own.
    fn look_for_stalls(&mut self) {
        let now = Instant::now();
        self.stall = self.stall.max(now - self.last);
        self.last = now;
    }
}
