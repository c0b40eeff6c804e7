//! A server's certificate.

use std::fs;
use std::path::Path;

use edgerelay::tls::Certificates;

/// A self-signed certificate for localhost, and its key, both in PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Identity {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    /// As a listener has it.
    pub fn certificates(&self) -> Certificates {
        Certificates::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// Puts it into `tls.crt` and `tls.key` of a folder.
    pub fn write(&self, folder: &Path) {
        fs::write(folder.join("tls.crt"), &self.certificate).unwrap();
        fs::write(folder.join("tls.key"), &self.key).unwrap();
    }

    /// A listener on a free port of 127.0.0.1 with the certificate of that folder, as the configuration has it.
    pub fn listener(transport: &str, folder: &Path) -> String {
        format!(
            "{{ transport = '{transport}', address = '127.0.0.1:0', certificate = '{}', key = '{}' }}",
            folder.join("tls.crt").display(),
            folder.join("tls.key").display()
        )
    }
}
