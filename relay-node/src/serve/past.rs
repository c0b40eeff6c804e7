//! What there is of a relay before this one, and how this one goes on with it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::process;
use std::sync::Arc;
use std::time::Instant;

use crate::config::{Problems, Recovery};
use crate::keeper::{Birth, Takes};
use crate::net::descriptors;
use crate::net::inherited::{self, Kind, Left};
use crate::net::steering::Steering;
use crate::recovery::Vault;
use crate::recovery::configuration;
use crate::recovery::keys::Keys;
use crate::recovery::listeners::{AdminListener, Inherited, Listeners};
use crate::recovery::records::{self, Records};
use crate::recovery::state::State;
use crate::recovery::superseded;
use crate::recovery::survivors::{Shares, divide};
use crate::worker::{self, Inheritance, Plan, Restored, Workers};

use super::ServeError;
use super::fleet::Kept;
use super::handover::arrival::{self, Arrival, ArrivalError};
use super::handover::door::Door;
use super::handover::giving::Giving;
use super::handover::line::Line;
use super::handover::neighbours::{self, Neighbour};
use super::handover::taking::{self, TakeError, Taking};
use super::handover::turns::{Serving, Starting};

/// The place of what outlives this relay, with what the one before it left there.
pub(super) struct Past<'a> {
    vault: &'a Vault,
    state: Arc<State>,
    birth: Birth,
    /// This relay's own.
    generation: u64,
    keys: Keys,
    listeners: Inherited,
    /// Open sockets that are no listeners.
    left: Vec<Left>,
    /// Whether there were records of the one before, or they were not to be looked for.
    found_records: bool,
    /// One that serves still, and hands over.
    before: Option<Taking>,
    /// Keeps others from starting meanwhile.
    starting: Option<Starting>,
    /// Shows others that this one serves.
    serving: Option<Serving>,
    /// Where they come in.
    door: Door,
}

/// Whether there is a place for this relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is free, or is handed over.
    Free,
    /// Another one took over while this one was started again after a crash.
    Taken,
    /// Its deployment handed over to another one long ago.
    Superseded,
}

impl<'a> Past<'a> {
    /// Takes over what is open, and closes at once what nobody can go on with: its clients are to notice.
    ///
    /// # Errors
    /// When there is no way to tell what is open, or the vault cannot be used.
    pub(super) fn take_over(vault: &'a Vault, state: Arc<State>, birth: Birth) -> io::Result<Self> {
        // Before what the process that crashed had open is closed: at no moment the place looks free.
        let serving = vault.directory().filter(|_| birth.leads).map(Serving::show).transpose()?;
        vault.settle()?;
        let mut left = Vec::new();
        if birth.kept {
            let shown = serving.iter().map(AsRawFd::as_raw_fd);
            let kept: Vec<_> =
                birth.keepers.iter().copied().chain(vault.descriptors()?).chain(shown).collect();
            left = inherited::take_over(&kept)?;
        }
        let listeners = Listeners::of(vault)?.map(|listeners| listeners.inherit(birth.keeper, &mut left));
        Ok(Self {
            generation: state.next_generation(),
            keys: Keys::of(vault)?,
            listeners: listeners.unwrap_or_default(),
            vault,
            state,
            birth,
            left,
            found_records: false,
            before: None,
            starting: None,
            serving,
            door: Door::default(),
        })
    }

    /// Looks for another relay that serves, which then hands over.
    ///
    /// # Errors
    /// When it does not. It goes on.
    pub(super) async fn look_around(&mut self, recovery: &Recovery) -> Result<Place, ArrivalError> {
        if self.birth.leads {
            // What the one that crashed had offered is no more to be had.
            self.state.offer(0);
            let is_ours = self.state.keeper() == self.birth.keeper;
            return Ok(if is_ours { Place::Free } else { Place::Taken });
        }
        if self.birth.predecessor.is_none() && superseded::contains(self.vault, &recovery.instance)? {
            return Ok(Place::Superseded);
        }
        let arrived = match (self.birth.predecessor, self.vault.directory()) {
            (Some(line), _) => arrival::by_keeper(line, recovery).await,
            (None, Some(directory)) => arrival::in_directory(directory, recovery).await,
            (None, None) => return Ok(Place::Free),
        };
        let Arrival { before, starting } = arrived.inspect_err(|_| self.leave())?;
        if before.is_none() {
            self.state.offer(0);
        }
        self.before = before;
        self.starting = starting;
        Ok(Place::Free)
    }

    /// Whether it is to take over from the relay that its keeper's line leads to: by its configuration as it is now.
    pub(super) fn is_heir(&self) -> bool {
        self.birth.predecessor.is_some()
    }

    /// Tells the relay that the keeper's line leads to why this one does not even come.
    pub(super) fn decline(&self, why: &Problems) {
        if let Some(line) = self.birth.predecessor
            && let Err(error) = arrival::decline(line, &why.to_string())
        {
            tracing::warn!(%error, "the relay that serves cannot be told why it is not taken over");
        }
    }

    /// Leaves all to the one before, which goes on.
    pub(super) async fn give_up(&mut self, why: &ServeError) {
        if let Some(before) = self.before.take() {
            self.leave();
            before.give_up(&why.to_string()).await;
        }
    }

    /// It is the one before that has served, which this one's keeper could not know.
    fn leave(&self) {
        self.state.set_served(true);
    }

    /// The place itself.
    pub(super) fn vault(&self) -> &'a Vault {
        self.vault
    }

    /// The vault, and whose pieces in it are this relay's.
    pub(super) fn place(&self) -> (&'a Vault, u64) {
        (self.vault, self.generation)
    }

    /// What nonces are made with where the configuration names no key.
    pub(super) fn nonce_key(&self) -> [u8; 32] {
        self.before.as_ref().map_or(self.keys.nonce, Taking::nonce_key)
    }

    /// What is known of the fleet.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub(super) fn fleet(&self) -> io::Result<Kept> {
        match &self.before {
            Some(before) => Ok(before.fleet().clone()),
            None => Kept::of(self.vault),
        }
    }

    /// Whether this relay went on with the calls of one before it by records of its own, or was not to.
    pub(super) fn found_records(&self) -> bool {
        self.found_records
    }

    /// The number of this relay.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The crashes that there were, for metrics.
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// The admin server's listener, if it is where `bind` wants it.
    pub(super) fn admin(&mut self, bind: SocketAddr) -> Option<TcpListener> {
        if let Some(before) = &mut self.before {
            let admin = before.admin.take().filter(|admin| admin.bind == bind);
            return admin.map(|admin| admin.socket.into());
        }
        let admin = self.listeners.admin.take().filter(|admin| admin.bind == bind)?;
        admin.socket.map(TcpListener::from).or_else(|| TcpListener::bind(admin.address).ok())
    }

    /// Starts the workers of `plan`, which go on with the calls that the relay before had. Others see this one as
    /// `own`. Tells the older ones that there are, with a line to each.
    ///
    /// # Errors
    /// As [`worker::prepare`], and when the relay before does not let go. Then the records that count are still
    /// those of before.
    pub(super) async fn go_on(
        &mut self,
        mut plan: Plan,
        own: &Neighbour,
        recovery: &Recovery,
    ) -> Result<(Workers, Vec<(Neighbour, Line)>), ServeError> {
        let began = Instant::now();
        plan.workers = plan.workers.max(1);
        let (workers, ledger) = (plan.workers, Arc::clone(&plan.ledger));
        let listeners = match &mut self.before {
            Some(before) => &mut before.listeners,
            None => &mut self.listeners.clients,
        };
        plan.inheritance = Inheritance {
            listeners: std::mem::take(listeners),
            steering_key: Some(self.steering_key()),
            ..Inheritance::default()
        };
        match Records::create(self.vault, self.generation, workers) {
            Ok(records) => plan.records = Some(records),
            Err(error) => {
                tracing::error!(%error, "no call will outlive this process: there is no room for records")
            }
        }
        plan.state = Some(Arc::clone(&self.state));
        if let Some(directory) = self.vault.directory() {
            Serving::make_room(directory).map_err(ServeError::Kept)?;
        }
        let mut prepared = worker::prepare(plan)?;
        let left = match &mut self.before {
            Some(before) => before.stand_still(self.vault, own).await?,
            None => taking::Left {
                generation: self.state.generation(),
                relays: self
                    .left
                    .drain(..)
                    .filter(is_of_datagrams)
                    .map(|it| (it.address, it.socket))
                    .collect(),
                predecessors: Vec::new(),
            },
        };
        let (shares, lost) = self.shares(left.generation, workers)?.unzip();
        self.found_records = shares.is_some() || self.birth.takes == Takes::Nothing;
        prepared.restore(left.relays, shares.unwrap_or_default());
        if self.serving.is_none() {
            self.serving = self.vault.directory().map(Serving::show).transpose().map_err(ServeError::Kept)?;
        }
        let restored = prepared.restored();
        let before = self.before.as_ref().map(Taking::neighbour);
        neighbours::set(&ledger, left.predecessors.iter().map(|(older, _)| older).chain(before));
        self.begin(restored)?;
        let workers = match prepared.start() {
            Ok(workers) => workers,
            Err(error) if self.before.is_some() => {
                // The one before has let go: the next process of this keeper goes on.
                tracing::error!(%error, "the relay gives up, so that another process can go on with its calls");
                process::abort();
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(lost) = lost {
            lost.tell(restored, began);
        }
        // While the one before still has its own: whoever comes finds one or the other.
        self.door = self.open_door();
        let mut older = left.predecessors;
        if let Some(before) = self.before.take() {
            if let Err(error) = superseded::add(self.vault, before.instance(), &recovery.instance) {
                tracing::warn!(%error, "the deployment before may take over again when something starts it");
            }
            let neighbours: Vec<_> = older.iter().map(|(neighbour, _)| neighbour).chain([own]).collect();
            let retired = before.finish(&neighbours).await;
            older.extend(retired);
        }
        self.remove_all_but(Some(self.generation));
        Ok((workers, older))
    }

    /// From here on it is this relay's records that count.
    fn begin(&self, restored: Restored) -> Result<(), TakeError> {
        if self.before.is_none() {
            self.state.set_generation(self.generation, self.birth.keeper);
            return Ok(());
        }
        let Restored { addresses_lost, without_listener, .. } = restored;
        if addresses_lost + without_listener > 0 {
            return Err(TakeError::Lossy { addresses_lost, without_listener });
        }
        let taken = self.state.take_offer(self.generation, self.birth.keeper);
        if taken { Ok(()) } else { Err(TakeError::Late) }
    }

    fn steering_key(&self) -> u32 {
        self.before.as_ref().map_or(self.keys.steering, Taking::steering_key)
    }

    /// Everything is served, at these places. From now on an end with an error is one that was meant.
    pub(super) fn served(&self, workers: &Workers, admin: AdminListener) {
        let listeners = Listeners::new(self.birth.keeper, workers.listener_descriptors(), admin);
        if let Err(error) = listeners.keep(self.vault) {
            tracing::error!(%error, "after a crash listeners are opened anew: there is no room to note them");
        }
        if self.birth.kept {
            descriptors::spare_some();
        }
        self.state.set_served(true);
    }

    /// The way in for the relay that comes next, and whoever else there is.
    pub(super) fn door(&mut self) -> Giving {
        self.starting = None;
        let first = self.birth.kept.then(rustix::process::getppid).flatten();
        Giving::new(std::mem::take(&mut self.door), first)
    }

    fn open_door(&self) -> Door {
        let door = Door::open(self.vault.directory()).and_then(|door| match self.birth.successor {
            Some(line) => door.and_by(descriptors::copy_of(line)?.into()),
            None => Ok(door),
        });
        door.unwrap_or_else(|error| {
            tracing::error!(%error, "no other relay can take over from this one");
            Door::default()
        })
    }

    /// Another relay serves now.
    pub(super) fn retire(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.hide();
        }
    }

    /// All calls have ended, as they were meant to: nobody has to go on with anything.
    pub(super) fn end(&self) {
        if self.state.generation() != self.generation {
            // Somebody else goes on with it already.
            return;
        }
        self.remove_all_but(None);
    }

    /// The records of `generation`, if there are any, by the workers that there will be.
    ///
    /// # Errors
    /// When they cannot be read, and somebody else can go on with them.
    fn shares(&self, generation: u64, workers: usize) -> Result<Option<(Shares, Lost)>, TakeError> {
        if self.birth.takes == Takes::Nothing {
            // Perhaps it is reading the records that fails: what is open is what can be counted.
            self.state.count_left_out(self.left.iter().filter(|it| is_of_datagrams(it)).count() as u64);
        }
        if self.birth.takes == Takes::Nothing || generation == 0 {
            return Ok(None);
        }
        let estate = match records::read(self.vault, generation) {
            Ok(estate) => estate,
            Err(unusable) if self.before.is_some() => return Err(unusable.into()),
            Err(error) => {
                tracing::warn!(%error, "the calls of the relay before do not go on");
                return Ok(None);
            }
        };
        let suspects = match self.birth.takes {
            Takes::WithoutSuspects => self.state.suspects(),
            Takes::All | Takes::Nothing => Vec::new(),
        };
        let damaged = estate.damaged;
        let steering = Steering::new(self.steering_key(), workers);
        let shares = divide(estate, workers, |client| steering.owner(client), &suspects);
        self.state.count_left_out(shares.suspected as u64);
        let Shares { of_streams, outdated, suspected, .. } = shares;
        Ok(Some((shares, Lost { damaged, of_streams, outdated, suspected })))
    }

    fn remove_all_but(&self, generation: Option<u64>) {
        if let Err(error) = records::remove_all_but(self.vault, generation.as_slice()) {
            tracing::warn!(%error, "old records stay where they are");
        }
        if let Err(error) = configuration::forget_all_but(self.vault, generation) {
            tracing::warn!(%error, "old configurations stay where they are");
        }
    }
}

fn is_of_datagrams(left: &Left) -> bool {
    left.kind == Kind::Datagrams
}

/// What of the records no worker got.
struct Lost {
    damaged: u64,
    of_streams: usize,
    outdated: usize,
    suspected: usize,
}

impl Lost {
    /// Tells what became of all calls.
    fn tell(&self, restored: Restored, began: Instant) {
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!(
            calls = restored.allocations,
            open_sockets = restored.sockets,
            seconds,
            "calls of the relay before go on"
        );
        let Self { damaged, of_streams, outdated, suspected } = *self;
        let Restored { expired, addresses_lost, without_listener, contradictory, reservations_lost, .. } =
            restored;
        let lost = of_streams + suspected + expired + addresses_lost + without_listener + contradictory;
        if lost > 0 || damaged > 0 || reservations_lost > 0 {
            tracing::warn!(
                connection_gone = of_streams,
                expired,
                address_lost = addresses_lost,
                listener_gone = without_listener,
                suspected,
                contradictory,
                outdated,
                damaged_records = damaged,
                reservations_lost,
                "calls of the relay before that do not go on"
            );
        }
    }
}
