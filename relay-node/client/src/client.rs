//! The state machine: requests under way, the login, and what is to be sent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use stun::attribute::{AlternateServer, ChannelNumber, ErrorCode, Icmp};
use stun::{BufferFull, Class, IntegrityError, Message};
use thiserror::Error;

use crate::redirect::{Journey, Target};
use crate::transaction::{Due, Schedule, Transaction};
use crate::{
    AnswerError, Challenge, ChallengeError, Credential, Incoming, Login, Path, RedirectError, Request,
    Success, Timing, TransactionIds, channel_data, send_indication,
};

/// No request of [`Request`] is longer, unless it names hundreds of peers.
const LONGEST_REQUEST: usize = 4096;
/// A request meets so many challenges at most: one for the credential, then nonces that went stale at once.
const MOST_CHALLENGES: u32 = 2;

/// A client of one relay, over one path.
#[derive(Clone, Debug)]
pub struct Client {
    path: Path,
    credential: Credential,
    classic: bool,
    software: Option<&'static str>,
    /// Where it was, if it follows.
    journey: Option<Journey>,
    timing: Timing,
    ids: TransactionIds,
    login: Option<Login>,
    transactions: Vec<Transaction>,
    outgoing: VecDeque<Vec<u8>>,
}

/// Something that a driver wants to know.
#[derive(Clone, Debug)]
pub enum Event<'p> {
    /// A request was carried out.
    Succeeded(Success),
    /// A request came to nothing.
    Failed {
        /// What was asked for.
        request: Request,
        /// Why.
        failure: Failure,
    },
    /// The request is to be sent to another server, over the same transport: what [`Client::poll_packet`] gives
    /// from now on is for that one. What else is under way comes to nothing.
    Redirected {
        /// Its address.
        server: SocketAddr,
        /// What its certificate has to name, for TLS; if not that, what the one before had to.
        domain: Option<String>,
    },
    /// Data came through a channel.
    ChannelData {
        /// The channel.
        channel: ChannelNumber,
        /// The data.
        payload: &'p [u8],
    },
    /// Data came in an indication.
    Data {
        /// Who sent it.
        peer: SocketAddr,
        /// The data.
        payload: &'p [u8],
    },
    /// What was sent to a peer has met with an ICMP error.
    Icmp {
        /// The peer.
        peer: SocketAddr,
        /// The error.
        error: Icmp,
    },
}

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The server says no.
    #[error("it was refused with {code} ({reason:?})")]
    Refused {
        /// The error code.
        code: u16,
        /// The server's words.
        reason: String,
        /// Where to go instead (300).
        alternate: Option<SocketAddr>,
    },
    /// No answer.
    #[error("there was no answer")]
    Silent,
    /// Answers, but none that shows that the server knows the password.
    #[error("the answer does not prove that the server knows the credential")]
    Unproven,
    /// It was sent to where it does not go.
    #[error("it was sent elsewhere, but {0}")]
    Redirect(#[from] RedirectError),
    /// It asks for what cannot be proved.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// An answer that says nothing.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The request does not fit into a packet with the server's realm and nonce.
    #[error("the request does not fit into a packet; the server's realm or nonce is too long")]
    TooLong(#[from] BufferFull),
}

impl Client {
    /// A client that has not asked for anything. `seed` has to be random and secret, and of this client alone.
    pub fn new(path: Path, credential: Credential, seed: [u8; 32]) -> Self {
        Self {
            path,
            credential,
            classic: false,
            software: None,
            journey: None,
            timing: Timing::default(),
            ids: TransactionIds::new(seed),
            login: None,
            transactions: Vec::new(),
            outgoing: VecDeque::new(),
        }
    }

    /// The same with another patience.
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// The same as a client older than RFC 8489: see [`Challenge::classic`].
    pub fn classic(self) -> Self {
        Self { classic: true, ..self }
    }

    /// The same, and it says in its requests what it is (SOFTWARE).
    pub fn named(self, software: &'static str) -> Self {
        Self { software: Some(software), ..self }
    }

    /// The same, and it goes where a 300 sends it from `server`, where it begins: see [`Event::Redirected`].
    pub fn following(self, server: SocketAddr) -> Self {
        Self { journey: Some(Journey::from(server)), ..self }
    }

    /// Asks for something; an [`Event`] tells what came of it. Several requests may be under way.
    ///
    /// # Errors
    /// When it does not fit into a packet.
    pub fn request(&mut self, now: Instant, request: Request) -> Result<(), BufferFull> {
        self.transmit(now, request, 0)
    }

    /// Sends data to a peer in a Send indication.
    ///
    /// # Errors
    /// When the data is longer than a message can be.
    pub fn send(&mut self, peer: SocketAddr, payload: &[u8], dont_fragment: bool) -> Result<(), BufferFull> {
        let packet = send_indication(self.ids.next_id(), peer, payload, dont_fragment)?;
        self.outgoing.push_back(packet);
        Ok(())
    }

    /// Sends data through a bound channel.
    pub fn send_through(&mut self, channel: ChannelNumber, payload: &[u8]) {
        self.outgoing.push_back(channel_data(channel.get(), payload, self.path));
    }

    /// The next packet to send.
    pub fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.outgoing.pop_front()
    }

    /// When [`Client::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.transactions.iter().map(|transaction| transaction.schedule.due()).min()
    }

    /// Sends again what is due, and gives up what was sent often enough: the first such request, if any.
    /// To be called again until there is none.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Event<'static>> {
        for place in 0..self.transactions.len() {
            let transaction = self.transactions.get_mut(place)?;
            match transaction.schedule.at(now) {
                Due::Later => {}
                Due::SendAgain => self.outgoing.push_back(transaction.packet.clone()),
                Due::GiveUp => {
                    let Transaction { request, forged, .. } = self.transactions.remove(place);
                    // RFC 8489 section 9.2.5: where all answers were discarded, it is no time-out.
                    let failure = if forged { Failure::Unproven } else { Failure::Silent };
                    return Some(Event::Failed { request, failure });
                }
            }
        }
        None
    }

    /// Takes in a packet; what it means, if anything.
    pub fn receive<'p>(&mut self, now: Instant, packet: &'p [u8]) -> Option<Event<'p>> {
        match Incoming::read(packet)? {
            Incoming::Answer(answer) => self.answered(now, &answer),
            Incoming::ChannelData(data) => {
                Some(Event::ChannelData { channel: data.channel, payload: data.payload })
            }
            Incoming::Data { peer, payload } => Some(Event::Data { peer, payload }),
            Incoming::Icmp { peer, error } => Some(Event::Icmp { peer, error }),
        }
    }

    /// RFC 8489 sections 6.3.3, 6.3.4 and 9.2.5.
    fn answered(&mut self, now: Instant, answer: &Message<'_>) -> Option<Event<'static>> {
        // An answer to nothing that was asked is ignored.
        let (id, method) = (answer.transaction_id(), answer.method());
        let mut transactions = self.transactions.iter();
        let place = transactions.position(|asked| asked.id == id && asked.request.method() == method)?;
        // 401 and 438 are never signed; every other answer to a signed request has to be.
        let code = error_code(answer);
        if !matches!(code, Some(ErrorCode { code: 401 | 438, .. })) && self.is_forged(place, answer) {
            // Over datagrams the true answer may still come. A stream brings no other.
            if self.path == Path::Datagrams {
                self.transactions.get_mut(place)?.forged = true;
                return None;
            }
            let Transaction { request, .. } = self.transactions.remove(place);
            return Some(Event::Failed { request, failure: Failure::Unproven });
        }
        let transaction = self.transactions.remove(place);
        let request = transaction.request.clone();
        match self.outcome(now, transaction, answer, code) {
            Ok(event) => event,
            Err(failure) => Some(Event::Failed { request, failure }),
        }
    }

    /// Whether an answer lacks the proof that a signed request's has to bring.
    ///
    /// An error without any integrity attribute is believed: servers send some before they look at the
    /// credential (400, 300), and who could forge it could as well keep the packets back.
    fn is_forged(&self, place: usize, answer: &Message<'_>) -> bool {
        let signed = self.transactions.get(place).is_some_and(|transaction| transaction.signed);
        let Some(login) = self.login.as_ref().filter(|_| signed) else { return false };
        match login.verify(answer) {
            Ok(()) => false,
            Err(IntegrityError::Missing) => answer.class() == Class::Success || answer.integrity().is_some(),
            Err(_) => true,
        }
    }

    /// What an answer means for its request: nothing if that was sent anew to the same server.
    fn outcome(
        &mut self,
        now: Instant,
        transaction: Transaction,
        answer: &Message<'_>,
        code: Option<ErrorCode<'_>>,
    ) -> Result<Option<Event<'static>>, Failure> {
        if answer.class() == Class::Success {
            return Ok(Some(Event::Succeeded(Success::read(transaction.request, answer)?)));
        }
        let Some(ErrorCode { code, reason }) = code else {
            return Err(AnswerError::Missing("error code").into());
        };
        // A 401 to a signed request says that the credential is wrong.
        let may_try_again = transaction.challenges < MOST_CHALLENGES;
        if may_try_again && (code == 438 || code == 401 && !transaction.signed) {
            self.log_in(Challenge::read(answer)?)?;
            self.transmit(now, transaction.request, transaction.challenges + 1)?;
            return Ok(None);
        }
        if code == 300
            && let Some(journey) = &mut self.journey
        {
            let login = self.login.as_mut().filter(|_| transaction.signed).ok_or(RedirectError::Unproven)?;
            let Target { server, domain } = journey.go_on(answer, login)?;
            self.outgoing.clear();
            self.transmit(now, transaction.request, transaction.challenges)?;
            return Ok(Some(Event::Redirected { server, domain }));
        }
        let alternate = answer.get::<AlternateServer>().map_err(AnswerError::from)?;
        let alternate = alternate.map(|AlternateServer(address)| address);
        Err(Failure::Refused { code, reason: reason.to_owned(), alternate })
    }

    fn log_in(&mut self, challenge: Challenge) -> Result<(), ChallengeError> {
        let challenge = if self.classic { challenge.classic() } else { challenge };
        match &mut self.login {
            Some(login) => login.renew(challenge),
            none => {
                *none = Some(Login::new(self.credential.clone(), challenge)?);
                Ok(())
            }
        }
    }

    /// Sends a request in a transaction of its own.
    fn transmit(&mut self, now: Instant, request: Request, challenges: u32) -> Result<(), BufferFull> {
        let id = self.ids.next_id();
        let mut buffer = [0; LONGEST_REQUEST];
        // Binding needs no credential.
        let login = self.login.as_ref().filter(|_| request != Request::Binding);
        let length = request.write(&mut buffer, id, self.software, login)?;
        let signed = login.is_some();
        let packet = buffer.get(..length).unwrap_or_default().to_vec();
        self.outgoing.push_back(packet.clone());
        let schedule = Schedule::start(self.path, &self.timing, now);
        let forged = false;
        self.transactions.push(Transaction { id, request, packet, signed, challenges, forged, schedule });
        Ok(())
    }
}

/// The code of an error response, where it has a readable one.
fn error_code<'p>(answer: &Message<'p>) -> Option<ErrorCode<'p>> {
    (answer.class() == Class::Error).then(|| answer.get().ok().flatten()).flatten()
}
