//! Checks what the configuration says of the fleet.

use std::fs;
use std::time::Duration;

use turn::Redirect;

use super::files::bytes_of;
use super::inside::{grpc, https};
use super::redis::redis;
use super::{Cluster, Issuing};
use crate::config::credentials::MOST_SECRETS;
use crate::config::document::{ClusterSection, IssuingSection};
use crate::config::files::Files;
use crate::config::problem::Problems;
use crate::config::secret::Secret;
use crate::config::value;

/// Whoever reads Redis could try all shorter ones.
const LEAST_FLEET_KEY: usize = 32;
/// Room for the longest name that is short enough for a certificate's, and for keys in Redis.
const MOST_FLEET: usize = 32;
/// As the name of a pod.
const MOST_NAME: usize = 253;
/// Credentials under one secret are to be few enough to lose.
const LONGEST_ROTATION: Duration = Duration::from_secs(8 * 3600);

/// The fleet that the section names; none where it names none, or what it says will not do.
pub(in crate::config) fn check(
    problems: &mut Problems,
    files: &Files,
    section: &ClusterSection,
    most_allocations: u32,
) -> Option<Cluster> {
    let Some(fleet) = &section.fleet else {
        if *section != ClusterSection::default() {
            problems.add_hidden(
                "cluster.fleet",
                "the fleet's other settings are there, but not its name",
                "Name the fleet, such as \"edge\", the same on all nodes; or remove all of [cluster]",
            );
        }
        return None;
    };
    let before = problems.as_slice().len();
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if fleet.is_empty() || fleet.len() > MOST_FLEET || !fleet.chars().all(is_name) {
        let fix =
            format!("Write at most {MOST_FLEET} lower-case letters, digits and hyphens, such as \"edge\"");
        problems.add("cluster.fleet", fleet, "this is no name of a fleet", fix);
    }
    let node = section.node.clone().unwrap_or_else(name_of_the_machine);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if node.is_empty() || node.len() > MOST_NAME || !node.chars().all(is_name) {
        let fix = format!("Write at most {MOST_NAME} letters, digits, hyphens, dots and underscores");
        problems.add("cluster.node", &node, "this is no name of a node", fix);
    }
    let zone = &section.zone;
    if zone.len() > MOST_NAME || zone.chars().any(char::is_control) {
        let fix = format!("Write at most {MOST_NAME} bytes without control characters");
        problems.add("cluster.zone", zone, "this is no name of a zone", fix);
    }
    let fleet_key = fleet_key(problems, files, section);
    let capacity =
        value::limit(problems, "cluster.capacity", section.capacity.unwrap_or(most_allocations.max(1)));
    let redirect = redirect(problems, &section.redirect);
    let redis = redis(problems, files, &section.redis);
    let is_public_allowed = section.allow_public_addresses;
    let grpc = grpc(problems, files, &section.grpc, is_public_allowed);
    let https = https(problems, files, &section.https, is_public_allowed);
    let issuing = issuing(problems, &section.issuing);
    if problems.as_slice().len() != before {
        return None;
    }
    Some(Cluster {
        fleet: fleet.clone(),
        node,
        zone: zone.clone(),
        fleet_key: fleet_key?,
        capacity,
        redirect: redirect?,
        redis: redis?,
        grpc,
        https,
        issuing: issuing?,
    })
}

fn redirect(problems: &mut Problems, text: &str) -> Option<Redirect> {
    match text {
        "known" => Some(Redirect::Known),
        "all" => Some(Redirect::All),
        "never" => Some(Redirect::Never),
        other => {
            problems.add(
                "cluster.redirect",
                other,
                "it is not known whom to send to another node",
                "Write known, all or never",
            );
            None
        }
    }
}

/// Each secret is tried in turn where a password is wrong: the fleet's and the relay's own have to be few together.
pub(in crate::config) fn check_secrets(problems: &mut Problems, cluster: &Cluster, own: usize) {
    let Issuing { max_ttl, rotation, .. } = &cluster.issuing;
    // Those that are on the way out, the one in use, and the one to come.
    let fleets = max_ttl.as_secs().div_ceil(rotation.as_secs().max(1)) + 2;
    let room = MOST_SECRETS.saturating_sub(own) as u64;
    if fleets > room {
        problems.add(
            "cluster.issuing.rotation",
            humantime::format_duration(*rotation),
            format!(
                "credentials live for up to {}, so that {fleets} secrets would be good at a time, and there is room for {room}",
                humantime::format_duration(*max_ttl)
            ),
            "Write a longer rotation (at most \"8h\"), a shorter cluster.issuing.max_ttl, or remove secrets from \
             credentials.rest_secrets",
        );
    }
}

fn fleet_key(problems: &mut Problems, files: &Files, section: &ClusterSection) -> Option<Secret> {
    let fix = "Write what `openssl rand -hex 32` prints into a file, the same on all nodes";
    let (field, bytes) = match (&section.fleet_key_file, &section.fleet_key) {
        (Some(_), Some(_)) => {
            problems.add_hidden(
                "cluster.fleet_key",
                "the key is there twice",
                "Remove it, or fleet_key_file",
            );
            return None;
        }
        (None, None) => {
            let fault = "there is no key that the fleet's state is sealed under";
            problems.add_hidden("cluster.fleet_key_file", fault, fix);
            return None;
        }
        (None, Some(key)) => ("cluster.fleet_key", key.expose().as_bytes().to_vec()),
        (Some(path), None) => {
            let field = "cluster.fleet_key_file";
            (field, bytes_of(problems, files, field, path, true)?)
        }
    };
    // Random bytes as they are, or text, whose last line has an end.
    let key = String::from_utf8(bytes).map_or_else(
        |bytes| bytes.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
        |text| text.trim_end_matches(['\r', '\n']).to_owned(),
    );
    if key.len() < LEAST_FLEET_KEY {
        let fault = format!("the key has {} bytes, so that it could be guessed", key.len());
        problems.add_hidden(field, fault, fix);
        return None;
    }
    Some(Secret::new(key))
}

fn issuing(problems: &mut Problems, section: &IssuingSection) -> Option<Issuing> {
    let field = |name: &str| format!("cluster.issuing.{name}");
    let minute = Duration::from_secs(60);
    let ttl = value::duration(problems, &field("ttl"), &section.ttl, Duration::from_secs(1));
    let max_ttl = value::duration(problems, &field("max_ttl"), &section.max_ttl, Duration::from_secs(1));
    if let (Some(ttl), Some(max_ttl)) = (ttl, max_ttl)
        && ttl > max_ttl
    {
        let fix = format!("Write at most {:?}, or a longer max_ttl", section.max_ttl);
        problems.add(field("ttl"), &section.ttl, "this is longer than cluster.issuing.max_ttl", fix);
    }
    let rotation = value::duration(problems, &field("rotation"), &section.rotation, minute);
    if rotation.is_some_and(|rotation| rotation > LONGEST_ROTATION) {
        let fault = "a secret that is used for so long is too much to lose";
        problems.add(field("rotation"), &section.rotation, fault, "Write at most \"8h\"");
    }
    for (index, url) in section.urls.iter().enumerate() {
        let place = url.strip_prefix("turn:").or_else(|| url.strip_prefix("turns:"));
        if place.is_none_or(|place| place.is_empty() || place.starts_with('/')) {
            let fix = "Write turn: or turns:, a host and a port, such as \"turns:turn.example.org:5349\"";
            problems.add(field(&format!("urls[{index}]")), url, "this is no TURN URL", fix);
        }
    }
    let per_caller_per_second =
        value::limit(problems, &field("per_caller_per_second"), section.per_caller_per_second);
    Some(Issuing {
        ttl: ttl?,
        max_ttl: max_ttl?,
        urls: section.urls.clone(),
        per_caller_per_second,
        rotation: rotation?,
    })
}

fn name_of_the_machine() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim_end().to_owned()
}
