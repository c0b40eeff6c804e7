//! Where settings come from: a file, then the environment, then flags; the later wins.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, Deserializer};
use toml::{Table, Value};

use super::document::Document;
use super::files::File;
use super::names::nearest;
use super::problem::{Problem, Problems};
use super::service_links::is_service_link;

/// What the names of environment variables begin with.
pub(super) const PREFIX: &str = "EDGERELAY_";

/// Settings gathered so far, and where those came from that no file gave. They can hold secrets.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub struct Layers {
    table: Table,
    origins: BTreeMap<String, String>,
    service_links: Vec<String>,
    exposed_file: Option<String>,
}

impl Layers {
    /// Starts with what the TOML file at `path` says.
    pub fn from_file(path: &Path) -> Result<Self, Problems> {
        let file = File::read(path);
        let is_exposed = file.as_ref().is_ok_and(File::is_exposed);
        let text = file.and_then(File::text).map_err(|error| Problem {
            field: "--config".into(),
            value: Some(path.display().to_string()),
            fault: format!("the file cannot be read ({error})"),
            fix: "Name a file that exists and that this user may read".into(),
        })?;
        let mut layers = Self::from_text(&text).map_err(|mut problem| {
            problem.field = format!("{} {}", path.display(), problem.field);
            problem
        })?;
        if holds_secret(&layers.table) && is_exposed {
            layers.exposed_file = Some(path.display().to_string());
        }
        Ok(layers)
    }

    /// Starts with what can be read of the file at `path`, as far as that goes.
    pub fn from_readable(path: &Path) -> Self {
        let text = File::read(path).and_then(File::text).unwrap_or_default();
        let (table, _) = DeTable::parse_recoverable(&text);
        Self { table: Table::deserialize(Deserializer::from(table)).unwrap_or_default(), ..Self::default() }
    }

    /// Starts with what the TOML document `text` says.
    pub(super) fn from_text(text: &str) -> Result<Self, Problem> {
        let table = text.parse::<Table>().map_err(|error| Problem {
            field: format!("line {}", line_of(text, error.span().map_or(0, |span| span.start))),
            // The parser can quote the line, which may hold a secret: only its message is passed on.
            value: None,
            fault: format!("this is not TOML ({})", error.message().replace('\n', ", ")),
            fix: "See edgerelay.example.toml for how settings are written".into(),
        })?;
        Ok(Self { table, ..Self::default() })
    }

    /// Lays environment variables over: `EDGERELAY_RELAY__PORTS` is `relay.ports`. What Kubernetes tells of
    /// a Service is no setting.
    ///
    /// # Errors
    /// Every variable of ours that is no text.
    pub fn environment(
        &mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(), Problems> {
        let mut problems = Problems::default();
        for (name, value) in variables {
            let shown = name.to_string_lossy();
            let Some(rest) = shown.strip_prefix(PREFIX).filter(|rest| *rest != "CONFIG") else { continue };
            // The value may be a secret: it is not shown.
            let no_text = match (name.to_str(), value.to_str()) {
                (None, _) => "the name of this variable",
                (_, None) => "the value of this variable",
                (Some(name), Some(text)) => {
                    self.variable(name, rest, text);
                    continue;
                }
            };
            let fix = "Write it in UTF-8, or remove the variable";
            problems.add_hidden(shown, format!("{no_text} is not UTF-8"), fix);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Lays one value over, by the path of its setting; `origin` says where it came from.
    pub fn set(&mut self, path: &str, value: Value, origin: &str) {
        self.origins.insert(path.to_owned(), origin.to_owned());
        place(&mut self.table, path, value);
    }

    /// Gives certificate and key to those TLS listeners that name none.
    pub fn complete_tls_listeners(&mut self, certificate: Option<&Path>, key: Option<&Path>) {
        let Some(Value::Array(listeners)) = self.table.get_mut("listeners") else { return };
        for listener in listeners.iter_mut().filter_map(Value::as_table_mut) {
            if listener.get("transport").and_then(Value::as_str) != Some("tls") {
                continue;
            }
            for (name, path) in [("certificate", certificate), ("key", key)] {
                if let Some(path) = path {
                    listener
                        .entry(name)
                        .or_insert_with(|| Value::String(path.to_string_lossy().into_owned()));
                }
            }
        }
    }

    /// `recovery.directory`, which can be told of settings that cannot be used, too.
    pub fn recovery_directory(&self) -> Option<&Path> {
        let directory = self.table.get("recovery")?.get("directory")?.as_str()?;
        Some(Path::new(directory)).filter(|directory| directory.is_absolute())
    }

    /// The document that the layers make together.
    pub(super) fn document(&self) -> Result<Document, Problems> {
        let mut track = serde_path_to_error::Track::new();
        let table = Value::Table(self.table.clone());
        let deserializer = serde_path_to_error::Deserializer::new(table, &mut track);
        Document::deserialize(deserializer).map_err(|error: toml::de::Error| {
            let path = track.path().to_string();
            let origin = self.origin_of(&path).map_or_else(String::new, |name| format!(" (from {name})"));
            // Of a listener or a relay address, the message lists all that there is.
            let is_name = error.message().starts_with("unknown field") && !path.contains('[');
            let as_variable = self.origin_of(&path).is_some_and(|name| name.starts_with(PREFIX));
            let nearest = is_name.then(|| nearest(&path, as_variable)).flatten();
            let (fault, nearest) = match nearest {
                Some(name) => ("there is no such setting".to_owned(), format!("The nearest one is {name}. ")),
                // The message quotes the value.
                None if is_secret(&path) => {
                    ("this has the wrong type, or is no setting".to_owned(), String::new())
                }
                None => (error.message().trim_end().replace('\n', ", "), String::new()),
            };
            let fix =
                format!("{nearest}See edgerelay.example.toml for the settings and how they are written");
            Problem { field: format!("{path}{origin}"), value: None, fault, fix }.into()
        })
    }

    /// Notes what is odd about where the settings came from.
    pub(super) fn warn(&self, problems: &mut Problems) {
        if !self.service_links.is_empty() {
            problems.warn(format!(
                "{}: Kubernetes tells of a Service by these variables; they are ignored. To be rid of them, \
                 set enableServiceLinks: false in the pod's spec",
                self.service_links.join(", ")
            ));
        }
        if let Some(path) = &self.exposed_file {
            problems.warn_of_exposed("--config", path);
        }
    }

    fn variable(&mut self, name: &str, rest: &str, text: &str) {
        let path = rest.to_ascii_lowercase().replace("__", ".");
        if !path.starts_with("credentials.users.") && is_service_link(name, text) {
            self.service_links.push(name.to_owned());
        } else {
            self.set(&path, value_of(text), name);
        }
    }

    fn origin_of(&self, path: &str) -> Option<&str> {
        let within = |set: &str| {
            path.strip_prefix(set).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.origins.iter().find(|(set, _)| within(set)).map(|(_, origin)| origin.as_str())
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.table.keys()).finish()
    }
}

/// Whether the setting at `path` may hold a secret, which no message repeats and no flag takes.
pub fn is_secret(path: &str) -> bool {
    let begins = ["credentials.", "nonce.key", "cluster.fleet_key", "cluster.https.token"];
    matches!(path, "credentials" | "nonce" | "cluster" | "cluster.redis" | "cluster.https")
        || begins.iter().any(|begin| path.starts_with(begin))
        || (path.starts_with("cluster.redis.") && path.contains("password"))
}

/// Reads a value as TOML where it looks like TOML, else as text.
pub fn value_of(text: &str) -> Value {
    let looks_like_toml = text.starts_with(['[', '{', '"', '\'']);
    if looks_like_toml && let Ok(value) = text.parse::<Value>() {
        return value;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::Integer(number);
    }
    text.parse::<bool>().map_or_else(|_| Value::String(text.to_owned()), Value::Boolean)
}

/// Whether there are secrets among these settings, not just the names of their files.
fn holds_secret(table: &Table) -> bool {
    let has = |path: &[&str], names: &[&str]| {
        let section = path.iter().try_fold(table, |table, name| table.get(*name)?.as_table());
        section.is_some_and(|section| names.iter().any(|name| section.contains_key(*name)))
    };
    has(&["credentials"], &["users", "rest_secrets"])
        || has(&["nonce"], &["keys"])
        || has(&["cluster"], &["fleet_key"])
        || has(&["cluster", "redis"], &["password", "sentinel_password"])
        || has(&["cluster", "https"], &["tokens"])
}

fn place(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            if let Some(inner) = inner.as_table_mut() {
                place(inner, rest, value);
            }
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
