//! The running workers, as the rest of the daemon sees them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use turn::{Drain, Event, Settings, Transport};

use crate::net::steering::Steering;

use super::counters::Counters;
use super::inheritance::ListenerDescriptors;
use super::mailbox::{Command, Mailbox};
use super::pulse::Pulse;
use super::stream::Handshaker;

/// A listener with the address that it really has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundListener {
    /// What clients speak there.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// What has happened to one worker's allocations, for others to log. A full queue takes no more.
pub type Events = ArrayQueue<Event>;

/// The running workers. Dropping it stops them.
pub struct Workers {
    pub(super) bound: Vec<BoundListener>,
    pub(super) listeners: Vec<ListenerDescriptors>,
    pub(super) steering: Steering,
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    pub(super) counters: Vec<Arc<Counters>>,
    pub(super) events: Vec<Arc<Events>>,
    pub(super) pulse: Mutex<Pulse>,
    pub(super) threads: Vec<JoinHandle<()>>,
    // Dropped last: until then the workers can be given back what they handed out.
    pub(super) handshakers: Vec<Handshaker>,
}

impl Workers {
    /// The listeners, in the order of the plan.
    pub fn bound(&self) -> &[BoundListener] {
        &self.bound
    }

    /// What names the worker of a datagram's client, beside how many there are.
    pub const fn steering_key(&self) -> u32 {
        self.steering.key()
    }

    /// The listeners' sockets, in the order of the plan.
    pub fn listener_descriptors(&self) -> &[ListenerDescriptors] {
        &self.listeners
    }

    /// Goes on under other settings. What lives, lives on.
    pub fn apply(&self, settings: &Arc<Settings>) {
        self.tell(|| Command::Apply(Arc::clone(settings)));
    }

    /// From now on refuses new allocations, or has them made elsewhere.
    pub fn drain(&self, how: Drain) {
        self.tell(|| Command::Drain(how));
    }

    /// Takes new allocations again, after [`Self::drain`].
    pub fn resume(&self) {
        self.tell(|| Command::Resume);
    }

    /// Ends all allocations and the workers.
    pub fn stop(&self) {
        self.tell(|| Command::Stop);
    }

    /// Allocations that live, as of each worker's last round.
    pub fn allocations(&self) -> usize {
        self.counters.iter().map(|counters| counters.allocations() as usize).sum()
    }

    /// Each worker's numbers.
    pub fn counters(&self) -> Vec<Arc<Counters>> {
        self.counters.clone()
    }

    /// Each worker's events.
    pub fn events(&self) -> Vec<Arc<Events>> {
        self.events.clone()
    }

    /// Whether every worker runs, and all that they need.
    pub fn alive(&self) -> bool {
        self.dead_worker().is_none() && !self.handshakers.iter().any(Handshaker::is_finished)
    }

    /// Whether all have ended, after [`Self::stop`].
    pub fn have_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// The first worker whose thread has ended, by panic or otherwise: nobody serves its clients any
    /// more. After [`Self::stop`] that is as it should be.
    pub fn dead_worker(&self) -> Option<usize> {
        self.threads.iter().position(JoinHandle::is_finished)
    }

    /// The first worker that has not finished its round for as long as `patience`, though it was asked to,
    /// because it waits or works without an end. To be called again and again, often while `patience` lasts;
    /// one that is only busy, or frozen, answers.
    pub fn stalled(&self, patience: Duration) -> Option<usize> {
        // A look that was broken off leaves it whole.
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        pulse.look(Instant::now(), &self.mailboxes, patience)
    }

    /// Waits until every worker has ended, after [`Self::stop`].
    pub fn join(mut self) {
        self.wait();
    }

    /// Has a worker do something that no worker should.
    #[cfg(test)]
    pub(crate) fn misbehave(&self, worker: usize, how: impl FnOnce() + Send + 'static) {
        self.mailboxes[worker].command(Command::Misbehave(Box::new(how)));
    }

    fn wait(&mut self) {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }

    pub(super) fn tell(&self, command: impl Fn() -> Command) {
        for mailbox in &self.mailboxes {
            mailbox.command(command());
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop();
        self.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_worker_that_panicked_or_ended_is_seen_and_named() {
        for end in [|| panic!("a worker's bug"), || {}] as [fn(); 2] {
            // The first two wait as long as the barrier is not full.
            let barrier = Arc::new(std::sync::Barrier::new(3));
            let living = || {
                let barrier = Arc::clone(&barrier);
                thread::spawn(move || {
                    barrier.wait();
                })
            };
            let workers = Workers {
                bound: Vec::new(),
                listeners: Vec::new(),
                steering: Steering::new(0, 3),
                mailboxes: Vec::new(),
                counters: Vec::new(),
                events: Vec::new(),
                pulse: Mutex::default(),
                threads: vec![living(), living(), thread::spawn(end)],
                handshakers: Vec::new(),
            };
            while workers.alive() {
                thread::yield_now();
            }
            assert_eq!(workers.dead_worker(), Some(2));
            barrier.wait();
        }
    }
}
