//! What one core has counted. Plain numbers: the driver publishes them as it likes.

use stun::Method;

use crate::ledger::PeerCount;

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
}

impl DropReason {
    /// Every reason, in the order of [`Stats::dropped`].
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::Unexpected,
        Self::NoAllocation,
        Self::NoPermission,
        Self::NoChannel,
        Self::Policy,
        Self::Bandwidth,
        Self::AnswerBudget,
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

/// The codes that answers carry; 0 is success.
pub const ANSWER_CODES: [u16; 13] = [0, 400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 486, 508];

/// Everything that one core counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Relayed from clients to peers.
    pub to_peers: Traffic,
    /// Relayed from peers to clients.
    pub to_clients: Traffic,
    /// Packets that went nowhere, by [`DropReason`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Answers sent, by [`RequestKind`] and place in [`ANSWER_CODES`].
    pub answers: [[u64; ANSWER_CODES.len()]; RequestKind::ALL.len()],
    /// Bytes of answers to requests that proved no credentials.
    pub unauthenticated_answer_bytes: u64,
    /// Allocations that came to be.
    pub allocations_created: u64,
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

    /// How many answers with `code` (0: success) requests of `kind` got.
    pub fn answers(&self, kind: RequestKind, code: u16) -> u64 {
        let place = ANSWER_CODES.iter().position(|known| *known == code);
        let row = self.answers.get(kind as usize);
        place.zip(row).and_then(|(place, row)| row.get(place)).copied().unwrap_or_default()
    }

    pub(crate) fn count_drop(&mut self, reason: DropReason) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count += 1;
        }
    }

    pub(crate) fn count_answer(&mut self, kind: RequestKind, code: u16) {
        if let Some(place) = ANSWER_CODES.iter().position(|known| *known == code)
            && let Some(row) = self.answers.get_mut(kind as usize)
            && let Some(count) = row.get_mut(place)
        {
            *count += 1;
        }
    }
}
