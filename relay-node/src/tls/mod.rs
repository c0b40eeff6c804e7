//! TLS server identities, re-read while connections live.

mod certificates;
mod internal;

pub use certificates::{CertificateError, Certificates, Renewal};
pub use internal::{Internal, InternalError, Visitors};
