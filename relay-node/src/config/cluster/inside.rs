//! Checks where the inside calls a node: gRPC and HTTPS.

use std::net::{IpAddr, SocketAddr};

use super::files::{authority, identity};
use super::{Grpc, Https};
use crate::config::document::{GrpcSection, HttpsSection};
use crate::config::files::Files;
use crate::config::problem::Problems;
use crate::config::secret::Secret;
use crate::config::value;

/// As for secrets: a shorter one could be guessed.
const LEAST_TOKEN: usize = 16;

pub(super) fn grpc(
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

pub(super) fn https(
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
