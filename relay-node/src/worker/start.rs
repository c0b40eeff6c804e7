//! Making everything ready, then starting the workers.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread;

use thiserror::Error;
use turn::{AnswerBudget, Transport, Turn, WorkerId};

use crate::net::affinity;
use crate::net::descriptors;
use crate::net::poll::{Interest, Poller};
use crate::net::steering::Steering;

use crate::recovery::state::State;
use crate::recovery::survivors::Shares;

use super::counters::{Publisher, SocketStats};
use super::datagrams::Datagrams;
use super::fleet::Fleet;
use super::frames::SCRATCH;
use super::freezing::Freezing;
use super::inheritance::{Inheritance, ListenerDescriptors};
use super::listeners::{self, Listeners, Opening};
use super::mailbox::{Mailbox, Post};
use super::plan::Plan;
use super::recorder::Recorder;
use super::restore::{self, Restored};
use super::run::{Waiting, Worker};
use super::stream::{Admission, Shared, Streams, start_handshakers};
use super::token::Token;
use super::workers::{BoundListener, Events, Workers};

/// Events that wait to be logged at most, for each worker.
const EVENTS: usize = 4096;

/// Why the workers could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listener's address cannot be had.
    #[error("cannot listen for {} clients on {address}: {source}; {}", transport.name(), fix(source, *address))]
    Listener {
        /// What clients would speak there.
        transport: Transport,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A TLS listener without a certificate.
    #[error("the TLS listener on {0} has no certificate; give it one")]
    NoCertificate(SocketAddr),
    /// A datagram has no place for a PROXY header.
    #[error(
        "the UDP listener on {0} cannot take PROXY protocol headers; leave proxy_protocol to TCP and TLS"
    )]
    ProxiedDatagrams(SocketAddr),
    /// What every worker needs beside its listeners.
    #[error("cannot set up a worker: {0}; it needs memory, threads and open files")]
    Worker(#[from] io::Error),
}

/// Prepares the workers of `plan` and starts them.
///
/// # Errors
/// When a listener's address cannot be had, or the plan cannot be followed. Then nothing runs.
pub fn start(plan: Plan) -> Result<Workers, StartError> {
    prepare(plan)?.start()
}

/// Makes everything ready for the workers of `plan`: binds or takes in all sockets, and goes on with what the
/// relay before this one had, but serves nobody yet. Whoever serves until then may go on if this fails.
///
/// # Errors
/// When a listener's address cannot be had, or the plan cannot be followed.
pub fn prepare(plan: Plan) -> Result<Prepared, StartError> {
    descriptors::raise_limit();
    let mut plan = plan;
    let Inheritance { steering_key, listeners, relays, shares } = std::mem::take(&mut plan.inheritance);
    let key = match steering_key {
        Some(key) => key,
        None => u32::from_ne_bytes(random()?),
    };
    let count = plan.workers.max(1);
    let steering = Steering::new(key, count);
    let Listeners { sockets, descriptors, opening } = listeners::bind(&plan, listeners, steering)?;
    let admission = Arc::new(Admission::new(plan.streams.connections, plan.streams.connections_per_source));
    let budget = Arc::new(AnswerBudget::new(random()?));
    let mailboxes: Vec<_> = (0..count).map(|_| Mailbox::new().map(Arc::new)).collect::<Result<_, _>>()?;
    let (handshakers, handshakes) = start_handshakers(&mailboxes)?;
    let bound = |it: &ListenerDescriptors| BoundListener { transport: it.transport, address: it.address };
    let handle = Workers {
        bound: descriptors.iter().map(bound).collect(),
        listeners: descriptors,
        steering,
        mailboxes: mailboxes.clone(),
        counters: (0..count).map(|_| Arc::default()).collect(),
        events: (0..count).map(|_| Arc::new(Events::new(EVENTS))).collect(),
        pulse: Mutex::default(),
        threads: Vec::new(),
        handshakers,
    };
    let mut records = plan.records.into_iter().flatten();
    let mut workers = Vec::with_capacity(count);
    for (index, (sockets, handshakes)) in sockets.into_iter().zip(handshakes).enumerate() {
        let (Some(mailbox), Some(counters), Some(events)) =
            (mailboxes.get(index), handle.counters.get(index), handle.events.get(index))
        else {
            break;
        };
        let settings = Arc::clone(&plan.settings);
        let (ledger, budget) = (Arc::clone(&plan.ledger), Arc::clone(&budget));
        let mut turn = Turn::new(settings, ledger, budget, WorkerId(index as u16), random()?);
        let recorder = records.next().map(|records| Recorder::new(index, records, plan.state.clone()));
        let fleet = plan.fleet.clone().map(|plan| Fleet::new(index, plan));
        if recorder.is_some() || fleet.is_some() {
            turn = turn.recording(recorder.as_ref().map_or(&[], Recorder::tallies));
        }
        let poller = Poller::new()?;
        sockets.register(&poller)?;
        poller.add(mailbox.waker(), Token::Mailbox.pack(), Interest::Read)?;
        let shared = Shared {
            worker: index,
            mailboxes: mailboxes.clone(),
            admission: Arc::clone(&admission),
            handshakes,
        };
        workers.push(Worker {
            index,
            turn,
            poller,
            datagrams: Datagrams::new(sockets.datagrams),
            streams: Streams::new(sockets.streams, plan.streams, shared),
            scratch: vec![0; SCRATCH],
            steering,
            post: Post::new(mailboxes.clone()),
            mailbox: Arc::clone(mailbox),
            recorder,
            fleet,
            stats: SocketStats::default(),
            publisher: Publisher::new(Arc::clone(counters)),
            events: Arc::clone(events),
            waiting: Waiting::default(),
            freezing: Freezing::default(),
            stopped: false,
        });
    }
    let Plan { pin, state, .. } = plan;
    let mut prepared = Prepared { workers, handle, opening, state, pin, restored: Restored::default() };
    prepared.restore(relays, shares);
    Ok(prepared)
}

/// Workers that do not run yet. Dropping it closes what was bound, and leaves to others what is shared.
pub struct Prepared {
    workers: Vec<Worker>,
    handle: Workers,
    opening: Opening,
    state: Option<Arc<State>>,
    restored: Restored,
    pin: bool,
}

impl Prepared {
    /// Goes on with what the relay before this one had, where that is known only after everything else was
    /// made ready: as [`Inheritance`] has it.
    pub fn restore(&mut self, relays: HashMap<SocketAddr, OwnedFd>, shares: Shares) {
        let Self { workers, handle, state, .. } = self;
        self.restored = restore::restore(workers, &handle.listeners, state.as_deref(), relays, shares);
    }

    /// What became of what the relay before this one had.
    pub const fn restored(&self) -> Restored {
        self.restored
    }

    /// Serves from now on: nobody else may any more.
    ///
    /// # Errors
    /// When the system has no threads.
    pub fn start(self) -> Result<Workers, StartError> {
        let Self { workers, mut handle, mut opening, pin, .. } = self;
        opening.open()?;
        let cores = if pin { affinity::allowed_cores() } else { Vec::new() };
        for worker in workers {
            let index = worker.index;
            // More workers than cores share them.
            let core = cores.get(index % cores.len().max(1)).copied();
            let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                if let Some(core) = core
                    && let Err(error) = affinity::pin_to(core)
                {
                    tracing::warn!(worker = index, core, %error, "cannot stay on one core; going on without");
                }
                worker.run();
            })?;
            handle.threads.push(thread);
        }
        opening.finish(&handle.mailboxes);
        Ok(handle)
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..)
        && !rest.is_empty()
    {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

fn fix(error: &io::Error, address: SocketAddr) -> String {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            format!("another program has port {}: stop it, or choose another port", address.port())
        }
        Some(libc::EADDRNOTAVAIL) => {
            format!("{} is no address of this machine: name one of its own", address.ip())
        }
        Some(libc::EACCES | libc::EPERM) => {
            format!("port {} needs CAP_NET_BIND_SERVICE: grant it, or choose one above 1023", address.port())
        }
        Some(libc::EAFNOSUPPORT) => "this machine has no such addresses: remove the listener".to_owned(),
        Some(libc::EMFILE | libc::ENFILE) => "too few open files are allowed: raise the limit".to_owned(),
        _ => "check the listener's address".to_owned(),
    }
}
