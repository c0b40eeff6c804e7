//! TLS handshakes, beside the workers: a signature takes longer than a hundred packets.
//!
//! A worker reads and writes a handshake as it does everything else. What came of it goes as a
//! [`Step`] to a thread that gets the processor after the workers, and comes back through the worker's
//! mailbox. Sources take turns, and only so many steps wait: the rest is refused.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};

use crossbeam_queue::ArrayQueue;
use rustix::process::setpriority_process;
use rustls::ServerConnection;

use crate::worker::mailbox::{Command, Mailbox};

use super::fair_queue::FairQueue;
use super::source::Source;

/// Steps that wait for their turn at most, for each worker: a quarter of a second of RSA signatures.
const WAITING: usize = 256;
/// Steps of one worker that the thread has at a time: enough that it never waits for the next.
const AHEAD: usize = 2;
/// Workers for each thread.
const WORKERS_PER_THREAD: usize = 4;
/// About a quarter of a core that a worker needs all of (setpriority(2)): packets come first, and a
/// newcomer's handshake ends within a second all the same.
const NICE: i32 = 5;

/// A connection's TLS, with something new to take in.
pub(in crate::worker) struct Step {
    pub(super) index: usize,
    pub(super) serial: u64,
    pub(super) tls: Box<ServerConnection>,
}

/// A step that was taken.
pub(in crate::worker) struct Taken {
    pub(super) step: Step,
    /// What is wrong with what came; TLS has an alert to write then.
    pub(super) result: Result<(), rustls::Error>,
}

/// One worker's handshakes.
pub(in crate::worker) struct Handshakes {
    waiting: FairQueue<Step>,
    /// How many steps the thread has.
    ahead: usize,
    queue: Arc<Queue>,
    thread: Thread,
    mailbox: Arc<Mailbox>,
}

/// Steps on their way to a thread, with where they go back to.
type Queue = ArrayQueue<(Step, Arc<Mailbox>)>;

/// A thread that takes the steps of a few workers. Dropping it ends it.
pub(in crate::worker) struct Handshaker {
    queue: Arc<Queue>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the threads for the workers with these mailboxes; also each worker's end.
pub(in crate::worker) fn start(mailboxes: &[Arc<Mailbox>]) -> io::Result<(Vec<Handshaker>, Vec<Handshakes>)> {
    let (mut threads, mut ends) = (Vec::new(), Vec::new());
    for (index, mailboxes) in mailboxes.chunks(WORKERS_PER_THREAD).enumerate() {
        let thread = Handshaker::start(index)?;
        ends.extend(mailboxes.iter().filter_map(|mailbox| thread.end(mailbox)));
        threads.push(thread);
    }
    Ok((threads, ends))
}

impl Handshakes {
    /// Lets a connection of `source` wait for its next step. Gives back one that has to be closed for
    /// it, which may be its own.
    pub(super) fn push(&mut self, source: Source, step: Step) -> Option<Step> {
        let displaced = self.waiting.push(source, step);
        self.hand_out();
        displaced
    }

    /// Notes that a step came back.
    pub(super) fn came_back(&mut self) {
        self.ahead -= 1;
        self.hand_out();
    }

    fn hand_out(&mut self) {
        while self.ahead < AHEAD
            && let Some(step) = self.waiting.pop()
        {
            // There is room: each worker has at most so many.
            if self.queue.push((step, Arc::clone(&self.mailbox))).is_ok() {
                self.ahead += 1;
                self.thread.unpark();
            }
        }
    }
}

impl Handshaker {
    fn start(index: usize) -> io::Result<Self> {
        let queue = Arc::new(ArrayQueue::new(AHEAD * WORKERS_PER_THREAD));
        let is_over = Arc::new(AtomicBool::new(false));
        let (steps, over) = (Arc::clone(&queue), Arc::clone(&is_over));
        let thread = thread::Builder::new()
            .name(format!("handshakes-{index}"))
            .spawn(move || take_steps(&steps, &over))?;
        Ok(Self { queue, is_over, thread: Some(thread) })
    }

    fn end(&self, mailbox: &Arc<Mailbox>) -> Option<Handshakes> {
        let thread = self.thread.as_ref()?.thread().clone();
        let (queue, mailbox) = (Arc::clone(&self.queue), Arc::clone(mailbox));
        Some(Handshakes { waiting: FairQueue::new(WAITING), ahead: 0, queue, thread, mailbox })
    }

    /// Whether it has ended.
    pub(in crate::worker) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Handshaker {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread for handshakes panicked");
            }
        }
    }
}

fn take_steps(queue: &Queue, is_over: &AtomicBool) {
    if let Err(error) = setpriority_process(None, NICE) {
        tracing::warn!(%error, "handshakes cannot be given less of the processor than packets");
    }
    while !is_over.load(Ordering::Acquire) {
        let Some((mut step, mailbox)) = queue.pop() else {
            // Whoever pushes, or ends this, unparks: also between the look and the sleep.
            thread::park();
            continue;
        };
        let result = step.tls.process_new_packets().map(drop);
        mailbox.command(Command::Handshake(Taken { step, result }));
    }
}
