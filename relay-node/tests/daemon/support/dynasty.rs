use std::os::fd::{OwnedFd, RawFd};

use edgerelay::net::steering::Steering;
use edgerelay::recovery::Vault;
use edgerelay::recovery::records::{self, Records};
use edgerelay::recovery::survivors::divide;
use edgerelay::worker::{Frozen, Inheritance, InheritedListener};
use rustix::fs::{SealFlags, fcntl_add_seals};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::{Node, NodePlan};

/// Relays that go on with each other's calls. Each one's descriptors are copied for the next, as another
/// process would get them.
pub struct Dynasty {
    vault: Vault,
    generation: u64,
}

impl Dynasty {
    pub fn new() -> Self {
        Self { vault: Vault::in_memory(), generation: 0 }
    }

    /// The next relay's plan, with records of its own.
    pub fn records(&mut self, plan: NodePlan) -> NodePlan {
        self.generation += 1;
        let records = Records::create(&self.vault, self.generation, plan.workers).unwrap();
        NodePlan { records: Some(records), ..plan }
    }

    /// Leaves no room for the records of the last relay that was planned.
    pub fn take_all_room(&self) {
        let records = format!("records.{}.", self.generation);
        for name in self.vault.names().unwrap().into_iter().filter(|name| name.starts_with(&records)) {
            let piece = self.vault.open(&name).unwrap().unwrap();
            fcntl_add_seals(piece, SealFlags::GROW).unwrap();
        }
    }

    /// The heir of `node`, which stands still from now on: it gets the sockets, and what stands in the records.
    pub fn heir(&mut self, node: &Node, plan: NodePlan) -> NodePlan {
        let Frozen { relays, listeners } = node.workers.freeze().unwrap();
        let mut heir = self.heir_without_sockets(node, plan);
        heir.inheritance.relays = relays.into_iter().map(|(local, socket)| (local, copy(socket))).collect();
        heir.inheritance.listeners = listeners
            .into_iter()
            .map(|it| InheritedListener {
                transport: it.transport,
                bind: it.bind,
                address: it.address,
                sockets: it.sockets.into_iter().map(copy).collect(),
            })
            .collect();
        heir
    }

    /// The same, but it gets the records alone.
    pub fn heir_without_sockets(&mut self, node: &Node, plan: NodePlan) -> NodePlan {
        node.workers.freeze().unwrap();
        let estate = records::read(&self.vault, self.generation).unwrap();
        assert_eq!(estate.damaged, 0);
        let key = node.workers.steering_key();
        let steering = Steering::new(key, plan.workers);
        let shares = divide(estate, plan.workers, |client| steering.owner(client), &[]);
        let inheritance = Inheritance { steering_key: Some(key), shares, ..Inheritance::default() };
        NodePlan { inheritance, ..self.records(plan) }
    }
}

/// Another descriptor of the same socket.
pub fn copy(socket: RawFd) -> OwnedFd {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    pidfd_getfd(this, socket, PidfdGetfdFlags::empty()).unwrap()
}
