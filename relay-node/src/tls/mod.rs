//! TLS server identities.
