//! What one core has counted. Plain numbers: the driver publishes them as it likes.

use stun::Method;

use crate::ledger::PeerCount;
use crate::redirect::Redirection;
use crate::refusal::Refusal;

/// Packets and their payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many packets.
    pub packets: u64,
    /// Bytes of application data in them, without TURN headers.
    pub bytes: u64,
}

impl Traffic {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// Why a packet got no answer and went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum DropReason {
    /// Neither STUN nor ChannelData, or not well formed.
    Malformed,
    /// Well formed, but of no meaning to a server.
    Unexpected,
    /// For a 5-tuple without an allocation.
    NoAllocation,
    /// To or from a peer without a permission.
    NoPermission,
    /// On a channel that is not bound.
    NoChannel,
    /// To an address that the peer policy refuses.
    Policy,
    /// Over the bandwidth of the user or of the whole relay.
    Bandwidth,
    /// Over the budget for answers to the unauthenticated.
    AnswerBudget,
    /// From where too many credentials were wrong lately.
    Guessing,
}

impl DropReason {
    /// Every reason, in the order of [`Stats::dropped`].
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::Unexpected,
        Self::NoAllocation,
        Self::NoPermission,
        Self::NoChannel,
        Self::Policy,
        Self::Bandwidth,
        Self::AnswerBudget,
        Self::Guessing,
    ];

    /// The name in metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unexpected => "unexpected",
            Self::NoAllocation => "no_allocation",
            Self::NoPermission => "no_permission",
            Self::NoChannel => "no_channel",
            Self::Policy => "policy",
            Self::Bandwidth => "bandwidth",
            Self::AnswerBudget => "answer_budget",
            Self::Guessing => "guessing",
        }
    }
}

/// The requests that get answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum RequestKind {
    /// RFC 8489.
    Binding,
    /// RFC 8656 section 7.
    Allocate,
    /// RFC 8656 section 8.
    Refresh,
    /// RFC 8656 section 10.
    CreatePermission,
    /// RFC 8656 section 12.
    ChannelBind,
}

impl RequestKind {
    /// Every kind, in the order of [`Stats::answers`].
    pub const ALL: [Self; 5] =
        [Self::Binding, Self::Allocate, Self::Refresh, Self::CreatePermission, Self::ChannelBind];

    /// The kind of a request with this method, if a server answers such.
    pub fn of(method: Method) -> Option<Self> {
        match method {
            Method::BINDING => Some(Self::Binding),
            Method::ALLOCATE => Some(Self::Allocate),
            Method::REFRESH => Some(Self::Refresh),
            Method::CREATE_PERMISSION => Some(Self::CreatePermission),
            Method::CHANNEL_BIND => Some(Self::ChannelBind),
            _ => None,
        }
    }

    pub(crate) const fn method(self) -> Method {
        match self {
            Self::Binding => Method::BINDING,
            Self::Allocate => Method::ALLOCATE,
            Self::Refresh => Method::REFRESH,
            Self::CreatePermission => Method::CREATE_PERMISSION,
            Self::ChannelBind => Method::CHANNEL_BIND,
        }
    }

    /// The name in metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binding => "binding",
            Self::Allocate => "allocate",
            Self::Refresh => "refresh",
            Self::CreatePermission => "create_permission",
            Self::ChannelBind => "channel_bind",
        }
    }
}

/// How a request can be answered: with success, or with one of [`Refusal::ALL`].
pub const OUTCOMES: usize = 1 + Refusal::ALL.len();

/// Everything that one core counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Relayed from clients to peers.
    pub to_peers: Traffic,
    /// Relayed from peers to clients.
    pub to_clients: Traffic,
    /// Packets that went nowhere, by [`DropReason`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Answers sent, by [`RequestKind`]: successes, then each of [`Refusal::ALL`].
    pub answers: [[u64; OUTCOMES]; RequestKind::ALL.len()],
    /// What became of Allocates that came where clients are sent on, by [`Redirection`].
    pub redirections: [u64; Redirection::ALL.len()],
    /// Bytes of answers to requests that proved no credentials.
    pub unauthenticated_answer_bytes: u64,
    /// Allocations that came to be.
    pub allocations_created: u64,
    /// Allocations taken in that a former process had.
    pub allocations_restored: u64,
    /// Allocations that a later process serves since.
    pub allocations_released: u64,
    /// Allocations that ended.
    pub allocations_closed: u64,
    /// Permissions in force.
    pub permissions: u64,
    /// Channels bound.
    pub channels: u64,
}

impl Stats {
    pub(crate) fn count_new(&mut self, new: PeerCount) {
        self.permissions += u64::from(new.permissions);
        self.channels += u64::from(new.channels);
    }

    pub(crate) fn count_gone(&mut self, gone: PeerCount) {
        self.permissions -= u64::from(gone.permissions);
        self.channels -= u64::from(gone.channels);
    }

    /// How many packets went nowhere for `reason`.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or_default()
    }

    /// How many requests of `kind` were refused so, or met with success.
    pub fn answers(&self, kind: RequestKind, refusal: Option<Refusal>) -> u64 {
        let row = self.answers.get(kind as usize);
        row.and_then(|row| row.get(outcome(refusal))).copied().unwrap_or_default()
    }

    pub(crate) fn count_drop(&mut self, reason: DropReason) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count += 1;
        }
    }

    pub(crate) fn count_redirection(&mut self, outcome: Redirection) {
        if let Some(count) = self.redirections.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    pub(crate) fn count_answer(&mut self, kind: RequestKind, refusal: Option<Refusal>) {
        let row = self.answers.get_mut(kind as usize);
        if let Some(count) = row.and_then(|row| row.get_mut(outcome(refusal))) {
            *count += 1;
        }
    }
}

/// The place in a row of [`Stats::answers`].
const fn outcome(refusal: Option<Refusal>) -> usize {
    match refusal {
        None => 0,
        Some(refusal) => 1 + refusal as usize,
    }
}
