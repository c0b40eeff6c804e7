//! Redis by TLS: who is trusted, who is shown, and what is told where that does not fit.

use std::fs;
use std::path::PathBuf;

use edgerelay::config::{Cluster, Identity};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;
use testbed::Redis;

use crate::support::{Linked, fleet};

/// An authority, and the files of those that it vouches for.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "the authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca")
    }

    /// The certificate and key of `name`, good until that year.
    fn identity(&self, name: &str, year: i32) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |end: &str, text: String| {
            let path = self.folder.path().join(format!("{name}-{year}.{end}"));
            fs::write(&path, text).unwrap();
            path
        };
        Identity { certificate: file("crt", certificate.pem()), key: file("key", key.serialize_pem()) }
    }

    /// A server that shows `identity`, and may ask for a certificate from us.
    fn redis(&self, identity: &Identity, asks: bool) -> Redis {
        let text = |path: &PathBuf| path.display().to_string();
        Redis::with(&[
            ("tls-cert-file", &text(&identity.certificate)),
            ("tls-key-file", &text(&identity.key)),
            ("tls-ca-cert-file", &text(&self.ca())),
            ("tls-auth-clients", if asks { "yes" } else { "no" }),
        ])
    }
}

fn trusting(redis: &Redis, authority: &Authority) -> Cluster {
    let mut config = fleet(&[redis.url()]);
    config.redis.ca_file = Some(authority.ca());
    config
}

#[test]
fn a_server_of_the_named_authority_is_used() {
    let authority = Authority::new();
    let redis = authority.redis(&authority.identity("127.0.0.1", 2100), false);
    let node = Linked::start(&trusting(&redis, &authority));
    node.up();
    node.works();
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_ours() {
    let authority = Authority::new();
    let redis = authority.redis(&authority.identity("127.0.0.1", 2100), true);
    let mut config = trusting(&redis, &authority);
    Linked::start(&config).down("cluster.redis.certificate");
    config.redis.identity = Some(authority.identity("node", 2100));
    let node = Linked::start(&config);
    node.up();
    node.works();
}

#[test]
fn an_authority_that_is_not_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let redis = authority.redis(&authority.identity("127.0.0.1", 2100), false);
    Linked::start(&trusting(&redis, &other)).down("cluster.redis.ca_file");
}

#[test]
fn a_certificate_for_another_name() {
    let authority = Authority::new();
    let redis = authority.redis(&authority.identity("redis.example.org", 2100), false);
    Linked::start(&trusting(&redis, &authority)).down("does not name that address");
}

#[test]
fn a_certificate_that_has_expired_and_is_renewed() {
    let authority = Authority::new();
    let mut redis = authority.redis(&authority.identity("127.0.0.1", 2020), false);
    let node = Linked::start(&trusting(&redis, &authority));
    node.down("has expired: renew it");
    let renewed = authority.identity("127.0.0.1", 2100);
    let name = |end: &str| authority.folder.path().join(format!("127.0.0.1-2020.{end}"));
    fs::copy(renewed.certificate, name("crt")).unwrap();
    fs::copy(renewed.key, name("key")).unwrap();
    redis.kill();
    redis.start_again();
    node.up();
    node.works();
}

#[test]
fn a_certificate_of_ours_that_is_renewed_in_its_file() {
    let authority = Authority::new();
    let redis = authority.redis(&authority.identity("127.0.0.1", 2100), true);
    let mut config = trusting(&redis, &authority);
    let old = authority.identity("node", 2020);
    config.redis.identity = Some(old.clone());
    let node = Linked::start(&config);
    node.down("");
    let renewed = authority.identity("node", 2100);
    fs::copy(renewed.key, old.key).unwrap();
    fs::copy(renewed.certificate, old.certificate).unwrap();
    node.up();
    node.works();
}

#[test]
fn plain_text_where_tls_is_spoken_and_the_other_way_round() {
    let authority = Authority::new();
    let redis = authority.redis(&authority.identity("127.0.0.1", 2100), false);
    Linked::start(&fleet(&[redis.url().replace("rediss", "redis")])).down("");
    let plain = Redis::start();
    let mut config = fleet(&[plain.url().replace("redis:", "rediss:")]);
    config.redis.ca_file = Some(authority.ca());
    Linked::start(&config).down("");
}
