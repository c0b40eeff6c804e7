//! Nodes of a fleet in this process: the registry and the desk as they are, with loads that the test makes up.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use edgerelay::cluster::Incarnation;
use edgerelay::cluster::link::Link;
use edgerelay::cluster::node::Load;
use edgerelay::cluster::registry::entry::{Life, NodeName};
use edgerelay::cluster::registry::{self, Directory, Identity, Member, Told};
use edgerelay::cluster::seal::Seal;
use edgerelay::cluster::tally::Tally;
use edgerelay::config::{Cluster, Files};
use testbed::{Redis, eventually_true};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task;
use turn::{AddressFamily, Alternates, Transport};

use crate::support::{SOON, fleet};

/// Where nodes run.
pub struct Fleet {
    pub config: Cluster,
    pub seal: Seal,
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Fleet {
    pub fn on(redis: &Redis) -> Self {
        Self::of(fleet(&[redis.url()]))
    }

    pub fn of(config: Cluster) -> Self {
        let (give, take) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                give.send(Handle::current()).unwrap();
                let _ = ended.await;
            });
        });
        let seal = Seal::new(config.fleet_key.expose().as_bytes(), &config.fleet).unwrap();
        Self { config, seal, handle: take.recv().unwrap(), end: Some(end), thread: Some(thread) }
    }

    /// A link of its own, once it is up.
    pub fn link(&self) -> Linked {
        let _within = self.handle.enter();
        let tally = Arc::new(Tally::default());
        let (link, keeper) = Link::start(&self.config, &Files::on_disk(), Arc::clone(&tally)).unwrap();
        let state = link.state();
        eventually_true(SOON, "the link to be up", || state.borrow().up);
        Linked { link, tally, keeper }
    }

    /// A node in the registry.
    pub fn node(&self, name: &str, told: Told) -> Node {
        let linked = self.link();
        let (link, seal) = (linked.link.clone(), self.seal.clone());
        let zone = self.config.zone.clone();
        let directory = Arc::new(Directory::new(link.clone(), seal.clone(), zone.clone()));
        let relay = Relay(Arc::new(Simulated { told: Mutex::new(told), ..Simulated::default() }));
        let simulated = Arc::clone(&relay.0);
        let life = Life::begin(Incarnation(1));
        let identity = Identity { name: named(name), life, zone, version: "1".to_owned() };
        let member = Member::new(link, seal, Arc::clone(&linked.tally), identity);
        let (end, ended) = oneshot::channel::<()>();
        let run = registry::run(member, Arc::clone(&directory), relay, async {
            let _ = ended.await;
        });
        Node { name: name.to_owned(), directory, simulated, linked, end, task: self.handle.spawn(run) }
    }

    /// Waits for something of a node's.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.handle.block_on(future)
    }

    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> task::JoinHandle<T> {
        self.handle.spawn(future)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end.take();
        let _ = self.thread.take().unwrap().join();
    }
}

/// A link that ends with this.
pub struct Linked {
    pub link: Link,
    pub tally: Arc<Tally>,
    keeper: task::JoinHandle<()>,
}

impl Linked {
    /// Values that were not trusted.
    pub fn rejected(&self, what: &'static str) -> u64 {
        self.tally.counts().get(&("rejected_values", what)).copied().unwrap_or_default()
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// A node in the registry.
pub struct Node {
    pub name: String,
    pub directory: Arc<Directory>,
    pub simulated: Arc<Simulated>,
    pub linked: Linked,
    end: oneshot::Sender<()>,
    task: task::JoinHandle<()>,
}

impl Node {
    /// The names of the nodes that it knows.
    pub fn knows(&self) -> BTreeSet<String> {
        self.directory.known().iter().map(|entry| entry.name.to_string()).collect()
    }

    /// Waits until it knows just these.
    pub fn comes_to_know(&self, names: &[&str]) {
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        eventually_true(SOON, &format!("{} to know just {names:?}", self.name), || self.knows() == names);
    }

    /// Those that IPv4 clients can be sent to.
    pub fn sends_to(&self) -> BTreeSet<String> {
        let best = self.directory.best(100, "", &[AddressFamily::V4]);
        best.iter().map(|entry| entry.name.to_string()).collect()
    }

    /// Waits until clients can be sent to just these.
    pub fn comes_to_send_to(&self, names: &[&str]) {
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        eventually_true(SOON, &format!("{} to send to just {names:?}", self.name), || {
            self.sends_to() == names
        });
    }

    /// How often it has told of itself.
    pub fn rounds(&self) -> u64 {
        self.simulated.rounds.load(Ordering::Relaxed)
    }

    /// It dies, without a word.
    pub fn kill(self) {
        self.task.abort();
    }

    /// It ends well.
    pub fn end(self, fleet: &Fleet) {
        self.end.send(()).unwrap();
        fleet.wait(self.task).unwrap();
    }
}

/// What a relay would tell.
#[derive(Default)]
pub struct Simulated {
    pub told: Mutex<Told>,
    pub rounds: AtomicU64,
    pub alternates: Mutex<Arc<Alternates>>,
}

struct Relay(Arc<Simulated>);

impl registry::Relay for Relay {
    fn told(&self) -> Told {
        self.0.rounds.fetch_add(1, Ordering::Relaxed);
        self.0.told.lock().unwrap().clone()
    }

    fn set_alternates(&self, alternates: Arc<Alternates>) {
        *self.0.alternates.lock().unwrap() = alternates;
    }
}

pub fn named(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

/// A node at 192.0.2.N with a hundred allocations of a thousand.
pub fn at(number: u8) -> Told {
    at_address(SocketAddr::from(([192, 0, 2, number], 3478)))
}

pub fn at_address(address: SocketAddr) -> Told {
    Told {
        addresses: vec![(Transport::Udp, address)],
        load: Load { allocations: 100, capacity: 1000, ..Load::default() },
        ..Told::default()
    }
}
