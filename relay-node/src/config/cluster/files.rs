//! Checks the files that the fleet's settings name.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::files::Files;
use crate::config::listener::{Identity, check_identity};
use crate::config::problem::Problems;

/// A certificate and its key, if they are there.
pub(super) fn identity(
    problems: &mut Problems,
    files: &Files,
    field: &impl Fn(&str) -> String,
    certificate: &Option<PathBuf>,
    key: &Option<PathBuf>,
) -> Option<Identity> {
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        (None, None) => return None,
        (Some(_), None) | (None, Some(_)) => {
            let missing = if key.is_none() { "key" } else { "certificate" };
            let fault = "a certificate and its key are needed both";
            problems.add_hidden(field(missing), fault, "Name a PEM file, or remove the other one");
            return None;
        }
    };
    let identity = Identity { certificate, key };
    check_identity(problems, files, field, &identity);
    Some(identity)
}

/// Checks that the file has a certificate in it.
pub(super) fn authority(problems: &mut Problems, files: &Files, field: &str, path: &Path) {
    let Some(bytes) = bytes_of(problems, files, field, path, false) else { return };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    if !certificates.is_ok_and(|certificates| !certificates.is_empty()) {
        let fault = "there is no PEM certificate in it that can be read";
        problems.add(field, path.display(), fault, "Name a PEM file with the authority's certificate");
    }
}

pub(super) fn bytes_of(
    problems: &mut Problems,
    files: &Files,
    field: &str,
    path: &Path,
    is_secret: bool,
) -> Option<Vec<u8>> {
    match files.read(path) {
        Ok(file) => {
            if is_secret && file.is_exposed() {
                problems.warn_of_exposed(field, path.display());
            }
            Some(file.bytes().to_vec())
        }
        Err(error) => {
            let fault = format!("the file cannot be read ({error})");
            problems.add(field, path.display(), fault, "Name a file that exists and that this user may read");
            None
        }
    }
}
