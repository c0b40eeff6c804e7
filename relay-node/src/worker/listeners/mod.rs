//! The sockets of all listeners: those of the relay before this one, and new ones.
//!
//! A UDP listener's sockets share their address as a group, in which each has a number, and a program says
//! which number gets a datagram ([`Steering`]). A socket that joins gets the next number; one that leaves gives
//! its own to the last. So a group grows by binding more before the program is told of them; it shrinks by
//! telling the program of fewer, emptying those that get nothing any more, and closing them.
//!
//! A TCP listener's sockets get connections by chance, and one that is closed takes those along that wait at
//! it. So all are kept, some workers having several of them.
//!
//! While they are only bound here, whoever serves them now notices nothing: [`Opening`] is the moment when
//! nobody else does any more.

mod inherited;
mod leaving;
mod opening;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use turn::Transport;

use crate::net::poll::{Interest, Poller};
use crate::net::steering::Steering;
use crate::net::tcp::Acceptor;
use crate::net::udp;

use self::inherited::Inherited;
use self::leaving::Leaving;
use super::datagrams::Listener;
use super::inheritance::{InheritedListener, ListenerDescriptors};
use super::plan::{ListenerPlan, Plan};
use super::start::StartError;
use super::stream::StreamListener;
use super::token::Token;

pub(super) use self::opening::Opening;

/// All listeners, over all workers.
pub(super) struct Listeners {
    /// By worker.
    pub(super) sockets: Vec<WorkerSockets>,
    /// By place in the plan.
    pub(super) descriptors: Vec<ListenerDescriptors>,
    /// What is to be done before they are served.
    pub(super) opening: Opening,
}

/// One worker's sockets.
#[derive(Default)]
pub(super) struct WorkerSockets {
    /// By place in the plan.
    pub(super) datagrams: Vec<Option<Listener>>,
    /// By place in the plan; behind them, those of workers that there are no more.
    pub(super) streams: Vec<Option<StreamListener>>,
}

impl WorkerSockets {
    /// Waits for what comes to them.
    pub(super) fn register(&self, poller: &Poller) -> io::Result<()> {
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

/// Takes in, or binds, the sockets of all listeners of `plan` for all workers.
///
/// # Errors
/// When one cannot be had, or does not fit what is spoken there.
pub(super) fn bind(
    plan: &Plan,
    inherited: Vec<InheritedListener>,
    steering: Steering,
) -> Result<Listeners, StartError> {
    let mut inherited = Inherited::new(inherited);
    let mut sockets = Vec::new();
    sockets.resize_with(plan.workers.max(1), WorkerSockets::default);
    let mut binding = Binding {
        sockets,
        others: Vec::new(),
        steering: plan.steering.then_some(steering),
        opening: Opening::new(steering),
    };
    let mut descriptors = Vec::new();
    for (place, listener) in plan.listeners.iter().enumerate() {
        let ListenerPlan { transport, bind, .. } = *listener;
        if transport == Transport::Udp && !listener.proxies.is_empty() {
            return Err(StartError::ProxiedDatagrams(bind));
        }
        if transport == Transport::Tls && listener.tls.is_none() {
            return Err(StartError::NoCertificate(bind));
        }
        let bound = match transport {
            Transport::Udp => binding.datagrams(place, listener, &mut inherited),
            Transport::Tcp | Transport::Tls => binding.streams(listener, &mut inherited),
        };
        let failed = |source| StartError::Listener { transport, address: bind, source };
        let (address, sockets) = bound.map_err(failed)?;
        descriptors.push(ListenerDescriptors { transport, bind, address, sockets });
    }
    let Binding { mut sockets, others, opening, .. } = binding;
    for (worker, listener) in others {
        if let Some(worker) = sockets.get_mut(worker) {
            worker.streams.push(Some(listener));
        }
    }
    Ok(Listeners { sockets, descriptors, opening })
}

/// Listeners while they are bound one after the other.
struct Binding {
    sockets: Vec<WorkerSockets>,
    /// Acceptors beyond one for each worker, with whose they are now.
    others: Vec<(usize, StreamListener)>,
    steering: Option<Steering>,
    opening: Opening,
}

/// Where it is, and its sockets.
type Bound = io::Result<(SocketAddr, Vec<RawFd>)>;

impl Binding {
    fn datagrams(&mut self, place: usize, plan: &ListenerPlan, inherited: &mut Inherited) -> Bound {
        let workers = self.sockets.len();
        let (mut address, mut sockets) = match inherited.take(plan, udp::adopt_listener) {
            Some(found) => found,
            None => (inherited.free_address(plan)?, Vec::new()),
        };
        let found = sockets.len();
        if let (Some(steering), [only]) = (self.steering, &sockets[..])
            && workers > found
        {
            // It had no need for a program until now: those that nobody serves yet would get their part.
            steering.among(found).attach(only, address)?;
        }
        while sockets.len() < workers {
            let socket = udp::listener(address)?;
            address = socket.local_addr()?;
            sockets.push(socket);
        }
        if let (Some(_), Some(first)) = (self.steering, sockets.first())
            && sockets.len() > 1
        {
            self.opening.steer(first.try_clone()?, address);
        }
        for (number, socket) in sockets.drain(workers..).enumerate() {
            let entrance = plan.entrance;
            self.opening.leaves(Leaving { place, number, socket, address, entrance });
        }
        let descriptors = sockets.iter().map(AsRawFd::as_raw_fd).collect();
        for (worker, socket) in self.sockets.iter_mut().zip(sockets) {
            worker.datagrams.push(Some(Listener::new(socket, address, place, plan.entrance)));
            worker.streams.push(None);
        }
        Ok((address, descriptors))
    }

    fn streams(&mut self, plan: &ListenerPlan, inherited: &mut Inherited) -> Bound {
        let (mut address, mut acceptors) = match inherited.take(plan, Acceptor::adopt) {
            Some(found) => found,
            None => (inherited.free_address(plan)?, Vec::new()),
        };
        let is_new = acceptors.is_empty();
        while acceptors.len() < self.sockets.len() {
            let acceptor = Acceptor::bind(address)?;
            address = acceptor.local_address()?;
            if is_new {
                acceptor.listen()?;
            } else {
                // Connections would come at once, and nobody serves them yet.
                self.opening.listen(acceptor.socket().try_clone()?);
            }
            acceptors.push(acceptor);
        }
        let descriptors = acceptors.iter().map(|acceptor| acceptor.socket().as_raw_fd()).collect();
        let mut listeners = acceptors.into_iter().map(|acceptor| StreamListener {
            acceptor,
            address,
            transport: plan.transport,
            entrance: plan.entrance,
            proxies: plan.proxies.clone(),
            tls: plan.tls.clone(),
            resumes: None,
        });
        for (worker, listener) in self.sockets.iter_mut().zip(listeners.by_ref()) {
            worker.datagrams.push(None);
            worker.streams.push(Some(listener));
        }
        let workers = self.sockets.len();
        self.others.extend(listeners.enumerate().map(|(number, listener)| (number % workers, listener)));
        Ok((address, descriptors))
    }
}
