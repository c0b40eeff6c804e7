//! The old relay's side, until it has handed over.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use turn::Ledger;
use turn::record::VERSION;

use super::door::{Door, Entrance};
use super::line::{Line, LineError};
use super::message::{Near, PROTOCOL, Passed, Reply, Request, Welcome};
use super::neighbours::{Neighbour, Told};
use super::predecessors::Predecessors;
use crate::config::{Config, TakeOver};
use crate::net::{descriptors, passing};
use crate::recovery::Vault;
use crate::recovery::records::{self, Unusable};
use crate::recovery::state::State;
use crate::serve::fleet::Kept;
use crate::serve::settings::NonceKey;
use crate::worker::{ListenerDescriptors, NotFrozen, Workers};

/// Visitors at a time who have not yet said what they want.
const VISITORS: usize = 8;
/// How long they may take for that, and anybody for what is not his to wait for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a new one may make ready: this relay serves meanwhile.
const MAKING_READY: Duration = Duration::from_secs(60);
/// How long this relay stands still for it at least: about as long as the listeners' queues hold what clients send.
const STANDING_STILL: Duration = Duration::from_secs(1);
/// How much longer for each relayed address, several times what it takes to go on with one.
const FOR_EACH: Duration = Duration::from_micros(200);
/// How long it may take until a new one comes that was asked for.
const COMING: Duration = Duration::from_secs(30);

/// What a relay has to hand over.
pub struct Estate<'a> {
    /// What serves.
    pub workers: &'a Workers,
    /// Whose ports they take.
    pub ledger: &'a Arc<Ledger>,
    /// Where its records are.
    pub vault: &'a Vault,
    /// What says whose count.
    pub state: &'a State,
    /// Its own.
    pub own: &'a Neighbour,
    /// What nonces are made with where the configuration names no key.
    pub nonce_key: &'a NonceKey,
    /// What is known of the fleet.
    pub fleet: Kept,
    /// What is in force.
    pub config: &'a Config,
    /// The admin server's listener.
    pub admin: BorrowedFd<'a>,
    /// Who went before.
    pub predecessors: &'a mut Predecessors,
}

/// What becomes of a relay after something was said to it.
#[derive(Debug)]
pub enum Outcome {
    /// It goes on as it was.
    GoesOn,
    /// Another one serves: over this line it says what is still to be done, and these are its neighbours.
    HandedOver(Line, Told),
    /// One that went before has come back.
    Returned(Neighbour, Line),
}

/// Something that was said to this relay.
#[derive(Debug)]
pub enum Event {
    /// By somebody who has just come.
    Visit(Visit),
    /// By the one who wants to take over; or it is gone.
    Said(Result<(Request, Vec<OwnedFd>), LineError>),
    /// That one takes too long.
    Late,
    /// The one that was asked for does not come.
    NobodyCame,
}

/// Somebody who has just come, and what he said.
#[derive(Debug)]
pub struct Visit {
    entrance: Entrance,
    line: Line,
    request: Request,
    descriptors: Vec<OwnedFd>,
}

/// Waits for the relay that comes next.
#[derive(Debug)]
pub struct Giving {
    door: Door,
    /// The first process, which starts another relay if it is told to.
    first: Option<Pid>,
    visits: (mpsc::Sender<Visit>, mpsc::Receiver<Visit>),
    waiting_room: Arc<Semaphore>,
    heir: Option<Heir>,
    wish: Option<Wish>,
}

/// A new relay that makes ready.
#[derive(Debug)]
struct Heir {
    line: Line,
    /// That it reads: this relay's own, or an older one.
    record_version: u16,
    until: Instant,
}

/// Somebody who waits for a hand-over to be done.
#[derive(Debug)]
struct Wish {
    line: Line,
    until: Instant,
}

/// Why a hand-over was broken off.
#[derive(Debug, Error)]
enum GiveError {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(transparent)]
    Workers(#[from] NotFrozen),
    #[error("the new relay gave up: {0}")]
    GaveUp(String),
    #[error("the new relay took too long")]
    Late,
    #[error("{0}")]
    System(#[from] io::Error),
    #[error("its records cannot be written for the new relay: {0}")]
    Records(#[from] Unusable),
    #[error("the new relay says that it serves, and has not taken this one's place")]
    NotTaken,
}

impl Giving {
    /// Waits at `door`. `first` is the process that starts another relay when it is told to.
    pub fn new(door: Door, first: Option<Pid>) -> Self {
        Self {
            door,
            first,
            visits: mpsc::channel(VISITORS),
            waiting_room: Arc::new(Semaphore::new(VISITORS)),
            heir: None,
            wish: None,
        }
    }

    /// Waits until something is said. Who stops waiting loses nothing.
    pub async fn next(&mut self) -> Event {
        loop {
            let late = self.heir.as_ref().map(|heir| heir.until);
            let nobody_came = self.wish.as_ref().filter(|_| self.heir.is_none()).map(|wish| wish.until);
            tokio::select! {
                (entrance, line) = self.door.next() => self.let_in(entrance, line),
                Some(visit) = self.visits.1.recv() => return Event::Visit(visit),
                said = said_by(&mut self.heir) => return Event::Said(said),
                () = until(late) => return Event::Late,
                () = until(nobody_came) => return Event::NobodyCame,
            }
        }
    }

    /// Does what is to be done about it.
    pub async fn follow(&mut self, event: Event, estate: &mut Estate<'_>) -> Outcome {
        match event {
            Event::Visit(visit) => return self.receive(visit, estate).await,
            Event::Said(Ok((Request::Ready { near }, pieces))) => {
                let neighbour = <[OwnedFd; 1]>::try_from(pieces).ok();
                let neighbour = neighbour.and_then(|[piece]| Neighbour::new(near, piece).ok());
                match (self.heir.take(), neighbour) {
                    (Some(heir), Some(neighbour)) => return self.hand_over(heir, neighbour, estate).await,
                    _ => self.broken_off(&LineError::OutOfTurn.into()).await,
                }
            }
            Event::Said(Ok((Request::GivingUp { why }, _))) => self.broken_off(&GiveError::GaveUp(why)).await,
            Event::Said(Ok(_)) => self.broken_off(&LineError::OutOfTurn.into()).await,
            Event::Said(Err(error)) => self.broken_off(&error.into()).await,
            Event::Late => self.broken_off(&GiveError::Late).await,
            Event::NobodyCame => self.answer_wish(Err("no new relay came; its log says why")).await,
        }
        Outcome::GoesOn
    }

    /// Lets a visitor say what he wants, and waits for nobody.
    fn let_in(&self, entrance: Entrance, mut line: Line) {
        // One too many is sent away.
        let Ok(place) = Arc::clone(&self.waiting_room).try_acquire_owned() else { return };
        let visits = self.visits.0.clone();
        tokio::spawn(async move {
            let _place = place;
            match timeout(PATIENCE, line.receive()).await {
                Ok(Ok((request, descriptors))) => {
                    // Fails when this relay ends.
                    let _ = visits.send(Visit { entrance, line, request, descriptors }).await;
                }
                Ok(Err(LineError::Gone)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "somebody came to the relay's socket"),
                Err(_) => tracing::warn!("somebody came to the relay's socket and said nothing"),
            }
        });
    }

    async fn receive(&mut self, visit: Visit, estate: &Estate<'_>) -> Outcome {
        let Visit { entrance, line, request, descriptors } = visit;
        match request {
            Request::Hello { protocol, reads_record_version, instance } => {
                let refusal = self.refusal(entrance, protocol, reads_record_version, estate);
                tracing::info!(instance, "another relay asks to take over");
                self.greet(line, refusal, reads_record_version.min(VERSION), estate).await;
            }
            Request::Reload => self.reload(line).await,
            // It has no configuration to say hello with.
            Request::GivingUp { why } if entrance == Entrance::Keeper && self.heir.is_none() => {
                self.broken_off(&GiveError::GaveUp(why)).await;
            }
            Request::Returning { near } => {
                let piece = <[OwnedFd; 1]>::try_from(descriptors).ok();
                if let Some(Ok(neighbour)) = piece.map(|[piece]| Neighbour::new(near, piece)) {
                    return Outcome::Returned(neighbour, line);
                }
            }
            // It knows nobody here.
            _ => {}
        }
        Outcome::GoesOn
    }

    /// Why somebody who says this cannot take over.
    fn refusal(&self, entrance: Entrance, protocol: u32, reads: u16, estate: &Estate<'_>) -> Option<String> {
        let never = estate.config.recovery.take_over == TakeOver::Never && entrance == Entrance::Directory;
        if protocol != PROTOCOL {
            Some(format!(
                "it speaks version {PROTOCOL} of the hand-over and the new one version {protocol}: hand over by \
                 way of a version between the two"
            ))
        } else if never {
            Some("recovery.take_over is \"never\" there; end it first".to_owned())
        } else if self.heir.is_some() {
            Some("another relay is taking over already; try again".to_owned())
        } else if !turn::record::is_known(reads.min(VERSION)) {
            Some(format!(
                "its records are of version {VERSION}, and the new one reads up to {reads}: hand over to a newer one"
            ))
        } else {
            None
        }
    }

    async fn greet(&mut self, mut line: Line, refusal: Option<String>, version: u16, estate: &Estate<'_>) {
        let greeted = match refusal {
            Some(why) => {
                tracing::warn!(why, "it may not");
                in_time(line.send(&Reply::Refused { why }, &[])).await.map(|()| None)
            }
            None => in_time(welcome(&mut line, version, estate)).await.map(|()| Some(line)),
        };
        match greeted {
            Ok(Some(line)) => {
                let until = Instant::now() + MAKING_READY;
                self.heir = Some(Heir { line, record_version: version, until });
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the other relay is not there any more"),
        }
    }

    async fn reload(&mut self, line: Line) {
        let asked = match self.first {
            Some(first) => kill_process(first, Signal::USR2).map_err(|error| error.to_string()),
            None => {
                Err("this relay has no keeper that could start another one: start one yourself".to_owned())
            }
        };
        self.wish = Some(Wish { line, until: Instant::now() + COMING });
        if let Err(why) = asked {
            self.answer_wish(Err(&why)).await;
        }
    }

    async fn answer_wish(&mut self, done: Result<(), &str>) {
        let Some(Wish { mut line, .. }) = self.wish.take() else { return };
        let answer = match done {
            Ok(()) => Reply::Reloaded,
            Err(why) => Reply::Refused { why: why.to_owned() },
        };
        // He may have stopped waiting.
        let _ = in_time(line.send(&answer, &[])).await;
    }

    async fn broken_off(&mut self, error: &GiveError) {
        self.heir = None;
        tracing::warn!(%error, "the hand-over was broken off: this relay goes on");
        self.answer_wish(Err(&error.to_string())).await;
    }

    /// Stands still, and lets the new one go on in its place; or goes on itself.
    async fn hand_over(&mut self, heir: Heir, new: Neighbour, estate: &mut Estate<'_>) -> Outcome {
        let Heir { mut line, record_version, .. } = heir;
        let generation = new.near.generation;
        // They reach its clients from the first packet on.
        estate.predecessors.expect(new);
        let predecessors = estate.predecessors.leave().await;
        let began = Instant::now();
        let mut told = Told::new(Arc::clone(estate.ledger));
        let given =
            stand_still(&mut line, generation, record_version, &predecessors, estate, &mut told).await;
        let milliseconds = began.elapsed().as_millis() as u64;
        match given {
            Ok(()) => {
                estate.workers.release();
                tracing::info!(generation, milliseconds, "handed over: another relay serves from now on");
                self.answer_wish(Ok(())).await;
                Outcome::HandedOver(line, told)
            }
            Err(error) => {
                estate.workers.thaw();
                estate.predecessors.add(predecessors);
                // What was written for a relay of another version.
                if let Err(error) = records::remove_all_but(estate.vault, &[estate.own.near.generation]) {
                    tracing::warn!(%error, "records for another relay stay where they are");
                }
                self.broken_off(&error).await;
                Outcome::GoesOn
            }
        }
    }
}

/// Everything that the new one needs to make ready.
async fn welcome(line: &mut Line, record_version: u16, estate: &Estate<'_>) -> Result<(), GiveError> {
    let own = estate.own.try_clone()?.into_passed();
    let mut passed = vec![(Passed::OpenPorts(own.0), own.1)];
    let address = socket2::SockRef::from(&estate.admin).local_addr()?.as_socket();
    if let Some(address) = address {
        let admin = Passed::Admin { bind: estate.config.admin, address };
        passed.push((admin, estate.admin.try_clone_to_owned()?));
    }
    for ListenerDescriptors { transport, bind, address, sockets } in estate.workers.listener_descriptors() {
        for socket in sockets {
            let transport = transport.name().to_owned();
            let listener = Passed::Listener { transport, bind: *bind, address: *address };
            passed.push((listener, descriptors::copy_of(*socket)?));
        }
    }
    let welcome = Welcome {
        generation: estate.own.near.generation,
        instance: estate.config.recovery.instance.clone(),
        record_version,
        nonce_key: *estate.nonce_key,
        fleet: estate.fleet.clone(),
        steering_key: estate.workers.steering_key(),
        descriptors: passed.len(),
    };
    line.send(&Reply::Welcome(welcome), &[]).await?;
    Ok(line.pass(&passed).await?)
}

/// Freezes the workers and offers this relay's place to `generation`; whether that has taken it. If not, they are
/// still to be thawed.
async fn stand_still(
    line: &mut Line,
    generation: u64,
    record_version: u16,
    predecessors: &[(Neighbour, Line)],
    estate: &Estate<'_>,
    told: &mut Told,
) -> Result<(), GiveError> {
    let frozen = estate.workers.freeze()?;
    estate.state.offer(generation);
    let patience = STANDING_STILL + FOR_EACH * frozen.relays.len() as u32;
    let offering = async {
        let mut passed = Vec::new();
        for (neighbour, line) in predecessors {
            let (near, piece) = neighbour.try_clone()?.into_passed();
            let Near { generation, .. } = near;
            passed.push((Passed::OpenPorts(near), piece));
            passed.push((Passed::Line { generation }, line.as_fd().try_clone_to_owned()?));
        }
        let mut generation = estate.own.near.generation;
        if record_version < VERSION {
            generation = records::rewrite(estate.vault, estate.state, generation, record_version)?;
        }
        pass_pieces(estate.vault, generation, &mut passed)?;
        let descriptors = frozen.relays.len() + passed.len();
        line.send(&Reply::Frozen { generation, descriptors }, &[]).await?;
        line.pass(&passed).await?;
        pass_relays(line, &frozen.relays).await?;
        loop {
            match line.receive().await? {
                (Request::Neighbours { neighbours }, pieces) => told.replace(neighbours, pieces)?,
                (Request::Serving, _) => return Ok(()),
                (Request::GivingUp { why }, _) => return Err(GiveError::GaveUp(why)),
                _ => return Err(LineError::OutOfTurn.into()),
            }
        }
    };
    let given = timeout(patience, offering).await.unwrap_or(Err(GiveError::Late));
    if estate.state.withdraw_offer(generation) {
        return given.and(Err(GiveError::NotTaken));
    }
    // It is the new one's place, whatever became of the line.
    given
        .inspect_err(|error| tracing::warn!(%error, "the new relay took this one's place, and is gone"))
        .or(Ok(()))
}

/// Some at a time: of all of them there may be no copies, since they take half of what may be open.
async fn pass_relays(line: &mut Line, relays: &[(SocketAddr, RawFd)]) -> Result<(), GiveError> {
    for some in relays.chunks(passing::MOST) {
        let copies = some.iter().map(|(local, socket)| {
            let copy = descriptors::copy_of(*socket)?;
            Ok((Passed::Relay { local: *local }, copy))
        });
        line.pass(&copies.collect::<io::Result<Vec<_>>>()?).await?;
    }
    Ok(())
}

/// A vault in memory is the keeper's own: another keeper gets the records of it.
fn pass_pieces(vault: &Vault, generation: u64, passed: &mut Vec<(Passed, OwnedFd)>) -> io::Result<()> {
    if vault.directory().is_some() {
        return Ok(());
    }
    let records = format!("records.{generation}.");
    for name in vault.names()?.into_iter().filter(|name| name.starts_with(&records)) {
        if let Some(piece) = vault.open(&name)? {
            passed.push((Passed::Piece { name }, piece));
        }
    }
    Ok(())
}

async fn said_by(heir: &mut Option<Heir>) -> Result<(Request, Vec<OwnedFd>), LineError> {
    match heir {
        Some(heir) => heir.line.receive().await,
        None => std::future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn in_time<E: Into<GiveError>>(work: impl Future<Output = Result<(), E>>) -> Result<(), GiveError> {
    match timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(GiveError::Late),
    }
}
