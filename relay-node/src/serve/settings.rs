//! From the configuration to what the core and the workers take.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;
use turn::credentials::{Secret, SecretError, UserError};
use turn::ledger::OpenPorts;
use turn::{Credentials, Entrance, Ledger, Limits, Nonces, PeerPolicy, Settings};

use crate::cluster::FleetState;
use crate::config::{self, Config, Listener};
use crate::recovery::configuration::InForce;
use crate::tls::CertificateError;
use crate::worker::{Inheritance, ListenerPlan, Plan};

/// The key that nonces are made with where the configuration names none: one for the process.
pub(super) type NonceKey = [u8; 32];

/// Why a checked configuration cannot be used all the same.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// A user's name or password.
    #[error("credentials.users: {0}")]
    User(#[from] UserError),
    /// A secret.
    #[error("credentials.rest_secrets: {0}")]
    Secret(#[from] SecretError),
    /// A certificate or its key.
    #[error("a TLS listener cannot be set up: {0}")]
    Certificate(#[from] CertificateError),
}

/// What the core is told: what the configuration says, and behind that what the fleet does.
pub(super) fn settings(
    config: &Config,
    generated: &NonceKey,
    fleet: Option<&FleetState>,
) -> Result<Arc<Settings>, SettingsError> {
    let users = config.credentials.users.iter();
    let users: Vec<_> = users.map(|(name, password)| (name.as_str(), password.expose())).collect();
    let secrets = config.credentials.rest_secrets.iter();
    let secrets = secrets.map(|secret| Secret::new(secret.expose().as_bytes()));
    let mut secrets = secrets.collect::<Result<Vec<_>, _>>()?;
    secrets.extend(fleet.into_iter().flat_map(|fleet| fleet.secrets.iter().cloned()));
    let credentials = Credentials::new(&config.realm, &users, secrets)?;
    Ok(Arc::new(Settings {
        realm: config.realm.clone(),
        software: config.software.clone(),
        nonces: nonces(&config.nonce, generated, fleet, &credentials),
        credentials,
        lifetimes: config.lifetimes,
        policy: PeerPolicy::new(
            config.peers.allow.clone(),
            config.peers.deny.clone(),
            config.peers.own.clone(),
        ),
        limits: Limits {
            user: config.limits.user,
            total: config.limits.total,
            answers: config.limits.answers,
        },
        redirect: config.cluster.as_ref().map(|cluster| cluster.redirect).unwrap_or_default(),
        revocations: fleet.map(|fleet| Arc::clone(&fleet.revocations)).unwrap_or_default(),
        asks_quota: config.cluster.is_some(),
    }))
}

/// What the workers are to be, with the certificates that are `in_force`.
pub(super) fn plan(
    config: &Config,
    in_force: &InForce,
    settings: Arc<Settings>,
    open: Option<&'static OpenPorts>,
) -> Result<Plan, SettingsError> {
    let (addresses, ports) = (config.relay.addresses, config.relay.ports.clone());
    Ok(Plan {
        workers: config.workers.count,
        pin: config.workers.pin,
        steering: true,
        listeners: config.listeners.iter().map(|plan| listener(plan, in_force)).collect::<Result<_, _>>()?,
        settings,
        ledger: Arc::new(match open {
            Some(open) => Ledger::publishing(addresses, ports, open),
            None => Ledger::new(addresses, ports),
        }),
        streams: config.limits.streams,
        records: None,
        fleet: None,
        state: None,
        inheritance: Inheritance::default(),
    })
}

fn listener(listener: &Listener, in_force: &InForce) -> Result<ListenerPlan, CertificateError> {
    Ok(ListenerPlan {
        transport: listener.transport,
        bind: listener.address,
        entrance: if listener.first_contact { Entrance::FirstContact } else { Entrance::Direct },
        proxies: listener.proxies.clone(),
        tls: listener.identity.as_ref().map(|identity| in_force.certificates(identity)).transpose()?,
    })
}

fn nonces(
    nonce: &config::Nonce,
    generated: &NonceKey,
    fleet: Option<&FleetState>,
    credentials: &Credentials,
) -> Nonces {
    let mut keys: Vec<NonceKey> = nonce.keys.iter().map(|key| Sha256::digest(key.expose()).into()).collect();
    keys.extend(fleet.into_iter().flat_map(|fleet| &fleet.nonce_keys));
    if nonce.keys.is_empty() {
        // Also behind those of the fleet: clients have nonces that were made before these were known.
        keys.push(*generated);
    }
    Nonces::new(keys, nonce.lifetime.as_secs(), credentials.knows_all_names())
}
