//! Who may relay, and what nonces are signed with.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::{CredentialsSection, NonceSection};
use super::files::Files;
use super::problem::Problems;
use super::secret::Secret;
use super::value;

/// A shorter one could be guessed from one captured message.
const LEAST_SECRET: usize = turn::credentials::Secret::SHORTEST;
/// Each is tried in turn, so that many make a wrong password dear to refuse. A rotation takes two or three.
pub(super) const MOST_SECRETS: usize = 16;
/// RFC 8489 section 14.3: USERNAME has fewer than 509 bytes.
const MOST_USERNAME: usize = 508;

/// Who may relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Long-term users and their passwords.
    pub users: BTreeMap<String, Secret>,
    /// Secrets of time-limited credentials, all valid at once.
    pub rest_secrets: Vec<Secret>,
}

/// How nonces are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// Keys, newest first; with none, one is generated.
    pub keys: Vec<Secret>,
    /// How long a nonce is good for.
    pub lifetime: Duration,
}

/// A relay of a fleet needs none of its own: the fleet makes secrets.
pub(super) fn check(
    problems: &mut Problems,
    files: &Files,
    section: &CredentialsSection,
    has_fleet: bool,
) -> Credentials {
    let before = problems.as_slice().len();
    let mut users = section.users.clone();
    for (name, password) in &users {
        user(problems, "credentials.users", name, password.expose());
    }
    if let Some(path) = &section.users_file {
        let field = "credentials.users_file";
        for (number, line) in value::lines(&value::file(problems, files, field, path).unwrap_or_default()) {
            let place = format!("{field}, line {number}");
            let Some((name, password)) = line.split_once(':') else {
                problems.add_hidden(place, "there is no colon in it", "Write `name:password`");
                continue;
            };
            user(problems, &place, name, password);
            if users.insert(name.to_owned(), Secret::new(password)).is_some() {
                problems.add(place, name, "there is a user of this name already", "Remove one of the two");
            }
        }
    }
    let mut rest_secrets = Vec::new();
    for (index, found) in section.rest_secrets.iter().enumerate() {
        secret(problems, &format!("credentials.rest_secrets[{index}]"), found.expose(), &mut rest_secrets);
    }
    for (index, path) in section.rest_secret_files.iter().enumerate() {
        let field = format!("credentials.rest_secret_files[{index}]");
        let Some(text) = value::file(problems, files, &field, path) else { continue };
        let had = rest_secrets.len();
        for (number, line) in value::lines(&text) {
            secret(problems, &format!("{field}, line {number}"), line, &mut rest_secrets);
        }
        if rest_secrets.len() == had {
            problems.add(field, path.display(), "there is no secret in the file", "Write one secret a line");
        }
    }
    if rest_secrets.len() > MOST_SECRETS {
        problems.add(
            "credentials.rest_secrets",
            rest_secrets.len(),
            "there are too many secrets, those of the files among them",
            format!(
                "Keep at most {MOST_SECRETS}: the one in use, and those that credentials still live under"
            ),
        );
    }
    if !has_fleet && users.is_empty() && rest_secrets.is_empty() && problems.as_slice().len() == before {
        problems.add_hidden(
            "credentials",
            "there is no user and no secret, so nobody could relay",
            "Write a random secret into a file and give it as --secret-file FILE",
        );
    }
    Credentials { users, rest_secrets }
}

pub(super) fn check_nonce(problems: &mut Problems, files: &Files, section: &NonceSection) -> Option<Nonce> {
    let mut keys = Vec::new();
    for (index, key) in section.keys.iter().enumerate() {
        secret(problems, &format!("nonce.keys[{index}]"), key.expose(), &mut keys);
    }
    if let Some(path) = &section.keys_file {
        let field = "nonce.keys_file";
        for (number, line) in value::lines(&value::file(problems, files, field, path).unwrap_or_default()) {
            secret(problems, &format!("{field}, line {number}"), line, &mut keys);
        }
    }
    let lifetime = value::duration(problems, "nonce.lifetime", &section.lifetime, Duration::from_secs(1));
    Some(Nonce { keys, lifetime: lifetime? })
}

fn user(problems: &mut Problems, field: &str, name: &str, password: &str) {
    if name.is_empty() || name.len() > MOST_USERNAME || name.chars().any(char::is_control) {
        problems.add(
            field,
            name,
            "this is no user name",
            format!("Write 1 to {MOST_USERNAME} bytes without control characters"),
        );
    }
    if password.is_empty() {
        problems.add_hidden(field, format!("the password of {name:?} is empty"), "Write one");
    }
}

fn secret(problems: &mut Problems, field: &str, text: &str, into: &mut Vec<Secret>) {
    if text.len() < LEAST_SECRET {
        problems.add_hidden(
            field,
            format!("it has {} bytes, so that it could be guessed", text.len()),
            format!("Use at least {LEAST_SECRET} random bytes, such as `openssl rand -hex 32` prints"),
        );
    }
    into.push(Secret::new(text));
}
