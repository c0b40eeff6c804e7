//! What there is of a relay before this one, and how this one goes on with it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use crate::keeper::{Birth, Takes};
use crate::net::inherited::{self, Kind, Left};
use crate::net::steering::Steering;
use crate::recovery::Vault;
use crate::recovery::configuration;
use crate::recovery::keys::Keys;
use crate::recovery::listeners::{AdminListener, Inherited, Listeners};
use crate::recovery::records::{self, Records};
use crate::recovery::state::State;
use crate::recovery::survivors::{Shares, divide};
use crate::worker::{self, Inheritance, Plan, Restored, StartError, Workers};

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
}

impl<'a> Past<'a> {
    /// Takes over what is open, and closes at once what nobody can go on with: its clients are to notice.
    ///
    /// # Errors
    /// When there is no way to tell what is open, or the vault cannot be used.
    pub(super) fn take_over(vault: &'a Vault, state: Arc<State>, birth: Birth) -> io::Result<Self> {
        let mut left = Vec::new();
        if birth.kept {
            left = inherited::take_over(&[&birth.keepers[..], &vault.descriptors()?].concat())?;
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
        })
    }

    /// The place itself.
    pub(super) fn vault(&self) -> &'a Vault {
        self.vault
    }

    /// What nonces are made with where the configuration names no key.
    pub(super) fn nonce_key(&self) -> [u8; 32] {
        self.keys.nonce
    }

    /// The crashes that there were, for metrics.
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// The admin server's listener, if it is where `bind` wants it.
    pub(super) fn admin(&mut self, bind: SocketAddr) -> Option<TcpListener> {
        let admin = self.listeners.admin.take().filter(|admin| admin.bind == bind)?;
        admin.socket.map(TcpListener::from).or_else(|| TcpListener::bind(admin.address).ok())
    }

    /// Starts the workers of `plan`, which go on with the calls that the relay before had.
    ///
    /// # Errors
    /// As [`worker::prepare`] and its start. If that failed, the records that count are still those of before.
    pub(super) fn go_on(&mut self, mut plan: Plan) -> Result<Workers, StartError> {
        let began = Instant::now();
        plan.workers = plan.workers.max(1);
        let (shares, lost) = self.shares(plan.workers).unzip();
        let shares = shares.unwrap_or_default();
        plan.inheritance = Inheritance {
            steering_key: Some(self.keys.steering),
            listeners: std::mem::take(&mut self.listeners.clients),
            relays: self.left.drain(..).filter(is_of_datagrams).map(|it| (it.address, it.socket)).collect(),
            shares,
        };
        match Records::create(self.vault, self.generation, plan.workers) {
            Ok(records) => plan.records = Some(records),
            Err(error) => {
                tracing::error!(%error, "no call will outlive this process: there is no room for records")
            }
        }
        plan.state = Some(Arc::clone(&self.state));
        let prepared = worker::prepare(plan)?;
        if let Some(lost) = lost {
            lost.tell(prepared.restored(), began);
        }
        // From here on it is this relay's records that count.
        self.state.set_generation(self.generation);
        let workers = prepared.start()?;
        self.remove_all_but(&[self.generation]);
        Ok(workers)
    }

    /// Everything is served, at these places. From now on an end with an error is one that was meant.
    pub(super) fn served(&self, workers: &Workers, admin: AdminListener) {
        let listeners = Listeners::new(self.birth.keeper, workers.listener_descriptors(), admin);
        if let Err(error) = listeners.keep(self.vault) {
            tracing::error!(%error, "after a crash listeners are opened anew: there is no room to note them");
        }
        self.state.set_served(true);
    }

    /// All calls have ended, as they were meant to: nobody has to go on with anything.
    pub(super) fn end(&self) {
        if self.state.generation() != self.generation {
            // Somebody else goes on with it already.
            return;
        }
        self.remove_all_but(&[]);
        if let Err(error) = configuration::forget(self.vault) {
            tracing::warn!(%error, "the last good configuration stays where it is");
        }
    }

    /// The records of the relay before, if there are any, by the workers that there will be.
    fn shares(&self, workers: usize) -> Option<(Shares, Lost)> {
        let generation = self.state.generation();
        if self.birth.takes == Takes::Nothing {
            // Perhaps it is reading the records that fails: what is open is what can be counted.
            self.state.count_left_out(self.left.iter().filter(|it| is_of_datagrams(it)).count() as u64);
        }
        if self.birth.takes == Takes::Nothing || generation == 0 {
            return None;
        }
        let estate = records::read(self.vault, generation)
            .inspect_err(|error| tracing::warn!(%error, "the calls of the relay before do not go on"))
            .ok()?;
        let suspects = match self.birth.takes {
            Takes::WithoutSuspects => self.state.suspects(),
            Takes::All | Takes::Nothing => Vec::new(),
        };
        let damaged = estate.damaged;
        let steering = Steering::new(self.keys.steering, workers);
        let shares = divide(estate, workers, |client| steering.owner(client), &suspects);
        self.state.count_left_out(shares.suspected as u64);
        let Shares { of_streams, outdated, suspected, .. } = shares;
        Some((shares, Lost { damaged, of_streams, outdated, suspected }))
    }

    fn remove_all_but(&self, generations: &[u64]) {
        if let Err(error) = records::remove_all_but(self.vault, generations) {
            tracing::warn!(%error, "old records stay where they are");
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
