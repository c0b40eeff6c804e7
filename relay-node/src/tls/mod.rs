//! TLS server identities, re-read while connections live.

mod certificates;

pub use certificates::{CertificateError, Certificates, Renewal};
