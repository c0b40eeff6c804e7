//! Sockets: batched UDP, options, errors and readiness behind small safe interfaces.
