//! Binding everything, then starting the workers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use thiserror::Error;
use turn::{AnswerBudget, Transport, Turn, WorkerId};

use crate::net::affinity;
use crate::net::poll::{Interest, Poller};
use crate::net::steering::Steering;
use crate::net::tcp::Acceptor;
use crate::net::{descriptors, udp};

use super::counters::{Publisher, SocketStats};
use super::datagrams::{Datagrams, Listener};
use super::frames::SCRATCH;
use super::mailbox::{Mailbox, Post};
use super::plan::{ListenerPlan, Plan};
use super::run::{Waiting, Worker};
use super::stream::{Admission, Shared, StreamListener, Streams, start_handshakers};
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

/// Binds every listener of `plan` for every worker, then starts the workers.
///
/// # Errors
/// When a listener's address cannot be had, or the plan cannot be followed. Then nothing runs.
pub fn start(plan: Plan) -> Result<Workers, StartError> {
    descriptors::raise_limit();
    let count = plan.workers.max(1);
    let steering = Steering::new(u32::from_ne_bytes(random()?), count);
    let mut sockets: Vec<WorkerSockets> = Vec::new();
    sockets.resize_with(count, WorkerSockets::default);
    let mut bound = Vec::new();
    for listener in &plan.listeners {
        let address = bind(listener, &mut sockets, plan.steering.then_some(steering))?;
        bound.push(BoundListener { transport: listener.transport, address });
    }
    let admission = Arc::new(Admission::new(plan.streams.connections, plan.streams.connections_per_source));
    let budget = Arc::new(AnswerBudget::new(random()?));
    let mailboxes: Vec<_> = (0..count).map(|_| Mailbox::new().map(Arc::new)).collect::<Result<_, _>>()?;
    let (handshakers, handshakes) = start_handshakers(&mailboxes)?;
    let mut workers = Workers {
        bound,
        mailboxes: mailboxes.clone(),
        counters: (0..count).map(|_| Arc::default()).collect(),
        events: (0..count).map(|_| Arc::new(Events::new(EVENTS))).collect(),
        threads: Vec::new(),
        handshakers,
    };
    let cores = if plan.pin { affinity::allowed_cores() } else { Vec::new() };
    for (index, (sockets, handshakes)) in sockets.into_iter().zip(handshakes).enumerate() {
        let (Some(mailbox), Some(counters), Some(events)) =
            (mailboxes.get(index), workers.counters.get(index), workers.events.get(index))
        else {
            break;
        };
        let settings = Arc::clone(&plan.settings);
        let (ledger, budget) = (Arc::clone(&plan.ledger), Arc::clone(&budget));
        let turn = Turn::new(settings, ledger, budget, WorkerId(index as u16), random()?);
        let poller = Poller::new()?;
        sockets.register(&poller)?;
        poller.add(mailbox.waker(), Token::Mailbox.pack(), Interest::Read)?;
        let shared = Shared {
            worker: index,
            mailboxes: mailboxes.clone(),
            admission: Arc::clone(&admission),
            handshakes,
        };
        let worker = Worker {
            index,
            turn,
            poller,
            datagrams: Datagrams::new(sockets.datagrams),
            streams: Streams::new(sockets.streams, plan.streams, shared),
            scratch: vec![0; SCRATCH],
            steering,
            post: Post::new(mailboxes.clone()),
            mailbox: Arc::clone(mailbox),
            stats: SocketStats::default(),
            publisher: Publisher::new(Arc::clone(counters)),
            events: Arc::clone(events),
            waiting: Waiting::default(),
            stopped: false,
        };
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
        workers.threads.push(thread);
    }
    Ok(workers)
}

/// One worker's sockets, by place in the plan.
#[derive(Default)]
struct WorkerSockets {
    datagrams: Vec<Option<Listener>>,
    streams: Vec<Option<StreamListener>>,
}

impl WorkerSockets {
    fn register(&self, poller: &Poller) -> io::Result<()> {
        for (index, listener) in self.datagrams.iter().enumerate() {
            if let Some(listener) = listener {
                poller.add(listener.socket(), Token::Listener(index).pack(), Interest::ReadEdge)?;
            }
        }
        for (index, listener) in self.streams.iter().enumerate() {
            if let Some(listener) = listener {
                poller.add(listener.acceptor.socket(), Token::Acceptor(index).pack(), Interest::Read)?;
            }
        }
        Ok(())
    }
}

/// Binds a listener's socket for each worker, in their order; the address that it got.
fn bind(
    plan: &ListenerPlan,
    workers: &mut [WorkerSockets],
    steering: Option<Steering>,
) -> Result<SocketAddr, StartError> {
    let transport = plan.transport;
    if transport == Transport::Udp && !plan.proxies.is_empty() {
        return Err(StartError::ProxiedDatagrams(plan.bind));
    }
    if transport == Transport::Tls && plan.tls.is_none() {
        return Err(StartError::NoCertificate(plan.bind));
    }
    let failed = |source| StartError::Listener { transport, address: plan.bind, source };
    let mut address = plan.bind;
    ensure_free(transport, address).map_err(failed)?;
    for (index, sockets) in workers.iter_mut().enumerate() {
        let (datagrams, streams) = if transport == Transport::Udp {
            let socket = udp::listener(address).map_err(failed)?;
            address = socket.local_addr().map_err(failed)?;
            if index == 0
                && let Some(steering) = steering
                && let Err(error) = steering.attach(&socket, address)
            {
                tracing::warn!(%address, %error, "the kernel cannot steer datagrams; workers hand them over");
            }
            (Some(Listener::new(socket, address)), None)
        } else {
            let acceptor = Acceptor::bind(address).map_err(failed)?;
            address = acceptor.local_address().map_err(failed)?;
            let (proxies, tls) = (plan.proxies.clone(), plan.tls.clone());
            let listener = StreamListener { acceptor, address, transport, proxies, tls, resumes: None };
            (None, Some(listener))
        };
        sockets.datagrams.push(datagrams);
        sockets.streams.push(streams);
    }
    Ok(address)
}

/// Workers share an address by SO_REUSEPORT, which another relay of the same user could join unseen:
/// see first that nobody has it.
fn ensure_free(transport: Transport, address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    if transport == Transport::Udp { udp::probe(address) } else { Acceptor::probe(address) }
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
