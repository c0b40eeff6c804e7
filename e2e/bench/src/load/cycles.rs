//! Clients that come and go: Allocate, and Refresh with a lifetime of zero, again and again.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use stun::attribute::ErrorCode;
use stun::{BufferFull, Class, Message, TransactionId};
use turn_client::{Allocate, AnswerError, Challenge, Failure, Login, Request};

use super::{DialogueError, Sockets, session::credential};
use crate::{
    datagrams::{ReceiveBatch, SendBatch},
    lab::{SERVER, client_address},
};

/// Clients that are served at a time.
const LANES: u32 = 64;
/// A request is sent again after this time (RFC 8489 section 6.2.1).
const RETRANSMISSION: Duration = Duration::from_millis(500);
/// Lanes are looked through for lost requests in this interval.
const PATROL: Duration = Duration::from_millis(50);

/// Runs cycles: each is one new client with an address of its own, which asks without credentials,
/// allocates with them, and gives its allocation back.
///
/// All of them have one user's key, which is derived once, so that the load is not what is measured.
pub struct Cycles<'a> {
    sockets: &'a Sockets,
    lanes: Vec<Lane>,
    out: SendBatch,
    inbox: ReceiveBatch,
    completed: u64,
}

/// What one of the clients served at a time is doing.
struct Lane {
    client: u32,
    login: Option<Login>,
    step: Step,
    sent: Instant,
}

/// What a client waits for an answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Allocate without credentials.
    Challenge,
    /// Allocate with them.
    Allocate,
    /// Refresh with a lifetime of zero.
    Release,
}

impl<'a> Cycles<'a> {
    /// Cycles of clients from number `first` on.
    pub fn new(sockets: &'a Sockets, first: u32) -> Self {
        let first = first.next_multiple_of(LANES);
        let lanes = (first..first + LANES).map(Lane::new).collect();
        Self { sockets, lanes, out: SendBatch::default(), inbox: ReceiveBatch::default(), completed: 0 }
    }

    /// Runs for `duration`; how many cycles were completed.
    pub fn run(&mut self, duration: Duration) -> Result<u64, DialogueError> {
        let begun = Instant::now();
        let before = self.completed;
        let mut patrol = begun;
        // The answers that were under way when the last run ended are lost with it: ask again.
        for lane in 0..LANES {
            self.ask(lane)?;
        }
        self.out.send(self.sockets.clients())?;
        while begun.elapsed() < duration {
            self.inbox.receive(self.sockets.clients())?;
            self.take_answers()?;
            if patrol.elapsed() > PATROL {
                patrol = Instant::now();
                self.ask_again()?;
            }
            self.out.send(self.sockets.clients())?;
        }
        Ok(self.completed - before)
    }

    fn take_answers(&mut self) -> Result<(), DialogueError> {
        let mut moved = Vec::with_capacity(LANES as usize);
        for datagram in self.inbox.iter() {
            let (Some(to), Ok(answer)) = (datagram.to, Message::parse(datagram.bytes)) else { continue };
            let number = u32::from(to).wrapping_sub(u32::from(client_address(0)));
            let Some(lane) = self.lanes.get_mut((number % LANES) as usize) else { continue };
            if lane.client == number && lane.id() == answer.transaction_id() {
                self.completed += u64::from(lane.advance(&answer)?);
                moved.push(number % LANES);
            }
        }
        moved.into_iter().try_for_each(|lane| self.ask(lane))
    }

    fn ask_again(&mut self) -> Result<(), DialogueError> {
        let lost = |lane: &Lane| lane.sent.elapsed() > RETRANSMISSION;
        let lost: Vec<u32> =
            (0..).zip(&self.lanes).filter(|(_, lane)| lost(lane)).map(|(at, _)| at).collect();
        lost.into_iter().try_for_each(|lane| self.ask(lane))
    }

    /// Queues what lane number `lane` asks for now.
    fn ask(&mut self, lane: u32) -> Result<(), DialogueError> {
        if self.out.is_full() {
            self.out.send(self.sockets.clients())?;
        }
        let Some(lane) = self.lanes.get_mut(lane as usize) else { return Ok(()) };
        lane.sent = Instant::now();
        let mut written = Ok(0);
        self.out.push(SERVER, Some(lane.address()), |buffer| {
            written = lane.write(buffer);
            *written.as_ref().unwrap_or(&0)
        });
        written.map(drop).map_err(|full| lane.failed(full.into()))
    }
}

impl Lane {
    fn new(client: u32) -> Self {
        Self { client, login: None, step: Step::Challenge, sent: Instant::now() }
    }

    fn address(&self) -> Ipv4Addr {
        client_address(self.client)
    }

    /// The transaction id: the client's number and the step.
    fn id(&self) -> TransactionId {
        let mut id = [self.step as u8; 12];
        if let Some(start) = id.first_chunk_mut::<4>() {
            *start = self.client.to_be_bytes();
        }
        TransactionId::new(id)
    }

    fn request(&self) -> Request {
        match self.step {
            Step::Challenge | Step::Allocate => Request::Allocate(Allocate::default()),
            Step::Release => Request::Refresh { lifetime: 0 },
        }
    }

    fn write(&self, buffer: &mut [u8]) -> Result<usize, BufferFull> {
        let login = self.login.as_ref().filter(|_| self.step != Step::Challenge);
        self.request().write(buffer, self.id(), None, login)
    }

    /// Goes on after an answer; whether that ended a cycle.
    fn advance(&mut self, answer: &Message<'_>) -> Result<bool, DialogueError> {
        self.take(answer).map_err(|failure| self.failed(failure))?;
        self.step = match self.step {
            Step::Challenge => Step::Allocate,
            Step::Allocate => Step::Release,
            Step::Release => {
                self.client += LANES;
                Step::Challenge
            }
        };
        Ok(self.step == Step::Challenge)
    }

    fn take(&mut self, answer: &Message<'_>) -> Result<(), Failure> {
        if answer.class() == Class::Success && self.step != Step::Challenge {
            return Ok(());
        }
        let error = answer.get::<ErrorCode<'_>>().map_err(AnswerError::from)?;
        let ErrorCode { code, reason } = error.ok_or(AnswerError::Missing("error code"))?;
        if (self.step, code) != (Step::Challenge, 401) {
            return Err(Failure::Refused { code, reason: reason.to_owned(), alternate: None });
        }
        let challenge = Challenge::read(answer)?.classic();
        match &mut self.login {
            Some(login) => login.renew(challenge)?,
            none => *none = Some(Login::new(credential(), challenge)?),
        }
        Ok(())
    }

    fn failed(&self, failure: Failure) -> DialogueError {
        DialogueError::Failed { request: self.request().name(), failure }
    }
}
