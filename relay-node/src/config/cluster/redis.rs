//! Checks how Redis is to be reached.

use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo};

use super::files::{authority, identity};
use super::{Redis, RedisMode};
use crate::config::document::RedisSection;
use crate::config::files::Files;
use crate::config::problem::Problems;
use crate::config::secret::Secret;
use crate::config::value;

pub(super) fn redis(problems: &mut Problems, files: &Files, section: &RedisSection) -> Option<Redis> {
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
