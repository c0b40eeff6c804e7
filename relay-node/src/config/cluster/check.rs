//! What is said of a fleet that cannot be.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use turn::Redirect;

use super::{Cluster, Grpc, Https, Issuing, Redis, RedisMode};
use crate::config::credentials::MOST_SECRETS;
use crate::config::document::{ClusterSection, GrpcSection, HttpsSection, IssuingSection, RedisSection};
use crate::config::files::Files;
use crate::config::listener::Identity;
use crate::config::problem::Problems;
use crate::config::secret::Secret;
use crate::config::value;
use crate::tls::{CertificateError, Certificates};

/// Whoever reads Redis could try all shorter ones.
const LEAST_FLEET_KEY: usize = 32;
/// As for secrets: a shorter one could be guessed.
const LEAST_TOKEN: usize = 16;
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

fn redis(problems: &mut Problems, files: &Files, section: &RedisSection) -> Option<Redis> {
    let field = |name: &str| format!("cluster.redis.{name}");
    let mode = match (section.mode.as_str(), &section.primary) {
        ("single", _) => Some(RedisMode::Single),
        ("cluster", _) => Some(RedisMode::Cluster),
        ("sentinel", Some(primary)) if !primary.is_empty() => Some(RedisMode::Sentinel(primary.clone())),
        ("sentinel", _) => {
            let fault = "the Sentinels have to be asked for a primary by its name";
            problems.add_hidden(field("primary"), fault, "Write the name from `sentinel monitor NAME`");
            None
        }
        (other, _) => {
            let fix = "Write single, sentinel or cluster";
            problems.add(field("mode"), other, "there is no such mode", fix);
            None
        }
    };
    urls(problems, &section.urls);
    let password = password(problems, files, &field("password"), &section.password, &section.password_file);
    let sentinel_password = password_of_sentinels(problems, files, section);
    let ca_file = section.ca_file.clone();
    if let Some(path) = &ca_file {
        authority(problems, files, &field("ca_file"), path);
    }
    let identity = identity(problems, files, &field, &section.certificate, &section.key);
    if section.urls.iter().all(|url| !url.starts_with("rediss://"))
        && (ca_file.is_some() || identity.is_some())
    {
        let fault = "a certificate is named, but none of the URLs is one for TLS";
        problems.add(field("urls"), section.urls.join(", "), fault, "Write rediss:// in place of redis://");
    }
    Some(Redis {
        mode: mode?,
        urls: section.urls.clone(),
        username: section.username.clone(),
        password,
        sentinel_password,
        ca_file,
        identity,
    })
}

fn urls(problems: &mut Problems, urls: &[String]) {
    let fix = "Write one such as \"rediss://10.0.0.5:6379\"";
    if urls.is_empty() {
        problems.add_hidden("cluster.redis.urls", "there is no place where Redis is", fix);
    }
    let mut is_tls = None;
    for (index, url) in urls.iter().enumerate() {
        let field = format!("cluster.redis.urls[{index}]");
        if url.contains('@') {
            // It is not shown: it has a password in it.
            let fault = "there is a user or a password in the URL, which is shown in log lines";
            let fix =
                "Write it without, and name them by cluster.redis.username and cluster.redis.password_file";
            problems.add_hidden(field, fault, fix);
            continue;
        }
        let place = url.split_once("://").map(|(_, place)| place.trim_end_matches('/'));
        let info = url.as_str().into_connection_info().ok();
        let Some((place, info)) = place.zip(info).filter(|(place, _)| !place.contains(['/', '?', '#']))
        else {
            problems.add(field, url, "this is no URL of Redis", format!("{fix}, without a path"));
            continue;
        };
        let tls = match info.addr() {
            ConnectionAddr::Tcp(..) => false,
            ConnectionAddr::TcpTls { .. } => true,
            _ => {
                problems.add(field, place, "this is no URL of Redis", fix);
                continue;
            }
        };
        if *is_tls.get_or_insert(tls) != tls {
            let fault = "some of the URLs are for TLS and some are not";
            problems.add(field, url, fault, "Write rediss:// in all of them, or redis:// in all of them");
        }
    }
}

fn password_of_sentinels(problems: &mut Problems, files: &Files, section: &RedisSection) -> Option<Secret> {
    let (text, file) = (&section.sentinel_password, &section.sentinel_password_file);
    password(problems, files, "cluster.redis.sentinel_password", text, file)
}

/// A password, or the one line of its file.
fn password(
    problems: &mut Problems,
    files: &Files,
    field: &str,
    text: &Option<Secret>,
    file: &Option<PathBuf>,
) -> Option<Secret> {
    match (text, file) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            problems.add_hidden(field, "the password is there twice", "Remove it, or that in the file");
            None
        }
        (Some(text), None) => Some(text.clone()),
        (None, Some(path)) => {
            let field = format!("{field}_file");
            let text = value::file(problems, files, &field, path)?;
            let password = text.trim_end_matches(['\r', '\n']);
            if password.is_empty() || password.contains('\n') {
                problems.add(
                    field,
                    path.display(),
                    "there is not one line in the file",
                    "Write the password",
                );
                return None;
            }
            Some(Secret::new(password))
        }
    }
}

fn grpc(
    problems: &mut Problems,
    files: &Files,
    section: &GrpcSection,
    is_public_allowed: bool,
) -> Option<Grpc> {
    let field = |name: &str| format!("cluster.grpc.{name}");
    let Some(address) = &section.address else {
        if *section != GrpcSection::default() {
            let fault = "the other settings of gRPC are there, but not where it is";
            problems.add_hidden(
                field("address"),
                fault,
                "Write an internal address such as \"10.0.0.5:7443\"",
            );
        }
        return None;
    };
    let address = internal(problems, &field("address"), address, is_public_allowed);
    let advertised = match &section.advertised {
        Some(text) => value::socket_address(problems, &field("advertised"), text),
        None => address,
    };
    if let Some(advertised) = advertised
        && address.is_some()
        && advertised.ip().is_unspecified()
    {
        let fault = "nobody can connect to this";
        problems.add(
            field("advertised"),
            advertised,
            fault,
            "Write the address that other nodes reach it by",
        );
    }
    let identity = identity(problems, files, &field, &section.certificate, &section.key);
    if section.certificate.is_none() && section.key.is_none() {
        let fault = "gRPC is by mutual TLS, so that the node needs a certificate";
        problems.add_hidden(field("certificate"), fault, "Name PEM files: certificate and key");
    }
    let Some(ca_file) = &section.ca_file else {
        let fault = "gRPC is by mutual TLS, so that callers have to show a certificate";
        problems.add_hidden(
            field("ca_file"),
            fault,
            "Name the PEM file of the authority that they come from",
        );
        return None;
    };
    authority(problems, files, &field("ca_file"), ca_file);
    Some(Grpc {
        address: address?,
        advertised: advertised?,
        identity: identity?,
        ca_file: ca_file.clone(),
        issuers: section.issuers.clone(),
        operators: section.operators.clone(),
    })
}

fn https(
    problems: &mut Problems,
    files: &Files,
    section: &HttpsSection,
    is_public_allowed: bool,
) -> Option<Https> {
    let field = |name: &str| format!("cluster.https.{name}");
    let Some(address) = &section.address else {
        if *section != HttpsSection::default() {
            let fault = "the other settings of HTTPS are there, but not where it is";
            problems.add_hidden(
                field("address"),
                fault,
                "Write an internal address such as \"10.0.0.5:8443\"",
            );
        }
        return None;
    };
    let address = internal(problems, &field("address"), address, is_public_allowed);
    let identity = identity(problems, files, &field, &section.certificate, &section.key);
    if section.certificate.is_none() && section.key.is_none() {
        problems.add_hidden(
            field("certificate"),
            "HTTPS takes a certificate",
            "Name PEM files: certificate and key",
        );
    }
    let mut tokens = Vec::new();
    for (index, text) in section.tokens.iter().enumerate() {
        token(problems, &format!("cluster.https.tokens[{index}]"), text.expose(), &mut tokens);
    }
    if let Some(path) = &section.tokens_file {
        let field = field("tokens_file");
        for (number, line) in value::lines(&value::file(problems, files, &field, path).unwrap_or_default()) {
            token(problems, &format!("{field}, line {number}"), line.trim(), &mut tokens);
        }
    }
    if let Some(path) = &section.ca_file {
        authority(problems, files, &field("ca_file"), path);
    }
    let by_certificate = section.ca_file.is_some() && !section.issuers.is_empty();
    if tokens.is_empty() && !by_certificate {
        let fault = "nobody could get a credential there: there is no token, and no certificate that may";
        let fix = "Name a file of bearer tokens, or ca_file and issuers";
        problems.add_hidden(field("tokens_file"), fault, fix);
    }
    Some(Https {
        address: address?,
        identity: identity?,
        ca_file: section.ca_file.clone(),
        issuers: section.issuers.clone(),
        tokens,
    })
}

fn token(problems: &mut Problems, field: &str, text: &str, into: &mut Vec<Secret>) {
    if text.len() < LEAST_TOKEN {
        let fault = format!("it has {} bytes, so that it could be guessed", text.len());
        let fix = format!("Use at least {LEAST_TOKEN} random bytes, such as `openssl rand -hex 32` prints");
        problems.add_hidden(field, fault, fix);
    }
    into.push(Secret::new(text));
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

/// An address for the inside: whoever reaches it may try certificates and tokens. All addresses, as the unspecified one
/// stands for, are the public ones of a relay too.
fn internal(problems: &mut Problems, field: &str, text: &str, is_public_allowed: bool) -> Option<SocketAddr> {
    let address = value::socket_address(problems, field, text)?;
    if !is_public_allowed && !is_internal(address.ip()) {
        let fault = if address.ip().is_unspecified() {
            "this is every address of the machine, the public ones too, and credentials are given out there"
        } else {
            "this is a public address, and credentials are given out there"
        };
        let fix = "Write an internal one such as \"10.0.0.5:7443\", or set cluster.allow_public_addresses = true \
                   where something else keeps the public away";
        problems.add(field, text, fault, fix);
    }
    Some(address)
}

fn is_internal(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            // RFC 6598 is for the insides of networks too.
            let is_shared = matches!(v4.octets(), [100, 64..=127, ..]);
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// A certificate and its key, if they are there.
fn identity(
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
    if files.read(&key).is_ok_and(|file| file.is_exposed()) {
        problems.warn_of_exposed(&field("key"), key.display());
    }
    if let Err(error) = Certificates::from_files(certificate.clone(), key.clone(), files) {
        let of_key = match &error {
            CertificateError::NoKey(_) => true,
            CertificateError::Read { path, .. } => *path == key,
            CertificateError::NoCertificate(_) | CertificateError::Refused { .. } => false,
        };
        let (name, path) = if of_key { ("key", &key) } else { ("certificate", &certificate) };
        problems.add(field(name), path.display(), error.to_string(), "Name PEM files that belong together");
        return None;
    }
    Some(Identity { certificate, key })
}

/// Checks that the file has a certificate in it.
fn authority(problems: &mut Problems, files: &Files, field: &str, path: &PathBuf) {
    let Some(bytes) = bytes_of(problems, files, field, path, false) else { return };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    if !certificates.is_ok_and(|certificates| !certificates.is_empty()) {
        let fault = "there is no PEM certificate in it that can be read";
        problems.add(field, path.display(), fault, "Name a PEM file with the authority's certificate");
    }
}

fn bytes_of(
    problems: &mut Problems,
    files: &Files,
    field: &str,
    path: &PathBuf,
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

fn name_of_the_machine() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim_end().to_owned()
}
