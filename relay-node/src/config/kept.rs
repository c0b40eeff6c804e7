//! All that a configuration was made of, so that it can be made again without its files.

use serde::{Deserialize, Serialize};

use super::files::Files;
use super::{Config, Host, Layers, Problems};

/// What a configuration was made of: settings, machine and the content of all files, certificates and keys
/// among them. It holds every secret of the relay.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub struct Kept {
    layers: Layers,
    host: Host,
    files: Files,
}

impl Kept {
    pub(super) fn new(layers: Layers, host: Host) -> Self {
        Self { layers, host, files: Files::on_disk() }
    }

    /// The configuration that these make.
    ///
    /// # Errors
    /// As [`Config::load`]; of what was good before, only what the machine lacks by now.
    pub fn load(&self) -> Result<Config, Problems> {
        Config::of(&self.layers, &self.host, &self.files)
    }

    /// The files that it names.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// As JSON, which is to be shown to nobody.
    ///
    /// # Errors
    /// When a name in it is no text.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// From what [`Self::to_bytes`] gave. No file is read any more: each is as it was.
    ///
    /// # Errors
    /// When another version of this program wrote what this one cannot read.
    pub fn from_bytes(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}
