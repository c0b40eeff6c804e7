//! How Redis is reached: what the configuration says, and a connection made of it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::cluster::ClusterClientBuilder;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates,
};
use thiserror::Error;
use tokio::time::timeout;

use super::connection::Connection;
use crate::config::{Files, Redis, RedisMode};

/// A connection that is not there by then is not to be had: TCP, TLS and the password.
pub(super) const CONNECTING: Duration = Duration::from_secs(2);

/// How Redis is reached.
pub(super) struct Route {
    mode: RedisMode,
    places: Vec<ConnectionInfo>,
    login: RedisConnectionInfo,
    sentinel_login: RedisConnectionInfo,
    certificates: Certificates,
    /// Which of the places answered last; it is asked first.
    last: AtomicUsize,
}

/// What a start stops at.
#[derive(Debug, Error)]
pub enum RouteError {
    /// Not a URL of Redis.
    #[error(
        "cluster.redis.urls: {url:?} is no URL of Redis ({why}). Write one such as \"rediss://10.0.0.5:6379\""
    )]
    Url {
        /// As it was written.
        url: String,
        /// What the client says.
        why: String,
    },
    /// Certificates that cannot be used.
    #[error("{field} = {path:?}: the file cannot be used ({why}). Name a PEM file that this user may read")]
    Certificate {
        /// Whose file it is.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Route {
    /// # Errors
    /// A URL or a certificate that cannot be used.
    pub(super) fn new(redis: &Redis, files: &Files) -> Result<Self, RouteError> {
        let mut places = Vec::new();
        for url in &redis.urls {
            let info = url.as_str().into_connection_info();
            places.push(
                info.map_err(|error| RouteError::Url { url: url.clone(), why: error.category().to_owned() })?,
            );
        }
        let password = redis.password.as_ref().map(|password| password.expose());
        let sentinel_password = redis.sentinel_password.as_ref().map(|password| password.expose());
        let certificates = Certificates::new(redis, files)?;
        Ok(Self {
            mode: redis.mode.clone(),
            places,
            login: login(&redis.username, password),
            sentinel_login: login("", sentinel_password),
            certificates,
            last: AtomicUsize::new(0),
        })
    }

    /// Connects, to whoever is the one to talk to now; with what the Sentinels say of that, where there are some.
    ///
    /// # Errors
    /// When nobody is.
    pub(super) async fn connect(&self) -> RedisResult<(Connection, Option<Seen>)> {
        match &self.mode {
            RedisMode::Cluster => Ok((in_time(self.cluster()).await?, None)),
            RedisMode::Single => Ok((self.first(|place| self.server(place, &self.login)).await?, None)),
            RedisMode::Sentinel(_) => {
                let seen = self.look().await?;
                Ok((in_time(self.server(seen.primary.clone(), &self.login)).await?, Some(seen)))
            }
        }
    }

    /// Whether all that there is has to be asked to know that it serves.
    pub(super) fn is_cluster(&self) -> bool {
        self.mode == RedisMode::Cluster
    }

    /// The first of the places that `connect` gets somewhere with, beginning with the last that did.
    async fn first<T, F: Future<Output = RedisResult<T>>>(
        &self,
        connect: impl Fn(ConnectionAddr) -> F,
    ) -> RedisResult<T> {
        let mut failed = None;
        let last = self.last.load(Ordering::Relaxed);
        for step in 0..self.places.len() {
            let index = (last + step) % self.places.len();
            let Some(place) = self.places.get(index) else { continue };
            match in_time(connect(place.addr().clone())).await {
                Ok(found) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Ok(found);
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| RedisError::from((ErrorKind::InvalidClientConfig, "there is no URL"))))
    }

    async fn server(&self, addr: ConnectionAddr, login: &RedisConnectionInfo) -> RedisResult<Connection> {
        let is_tls = matches!(addr, ConnectionAddr::TcpTls { .. });
        let info = addr.into_connection_info()?.set_redis_settings(login.clone());
        let client =
            if is_tls { Client::build_with_tls(info, self.certificates.now())? } else { Client::open(info)? };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTING))
            // Every call has a deadline of its own.
            .set_response_timeout(None);
        Ok(Connection::Server(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    async fn cluster(&self) -> RedisResult<Connection> {
        let mut builder = ClusterClientBuilder::new(self.places.clone())
            .connection_timeout(CONNECTING)
            .response_timeout(CONNECTING)
            // What moved is followed; what is down is told of.
            .retries(2);
        if let Some(username) = self.login.username() {
            builder = builder.username(username);
        }
        if let Some(password) = self.login.password() {
            builder = builder.password(password);
        }
        if self.places.iter().any(|place| matches!(place.addr(), ConnectionAddr::TcpTls { .. })) {
            builder = builder.certs(self.certificates.now());
        }
        Ok(Connection::Cluster(builder.build()?.get_async_connection().await?))
    }

    /// Asks the Sentinels where the primary is.
    pub(super) async fn look(&self) -> RedisResult<Seen> {
        self.first(|place| async move {
            let sentinel = self.server(place.clone(), &self.sentinel_login).await?;
            let mut seen = Seen { primary: place, sentinel };
            self.look_again(&mut seen).await?;
            Ok(seen)
        })
        .await
    }

    /// Asks the Sentinel that was asked before.
    pub(super) async fn look_again(&self, seen: &mut Seen) -> RedisResult<()> {
        let RedisMode::Sentinel(name) = &self.mode else { return Ok(()) };
        let mut ask = redis::cmd("SENTINEL");
        let value = seen.sentinel.command(ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name)).await?;
        let found: Option<(String, u16)> = redis::from_redis_value(value)?;
        let (host, port) = found.ok_or_else(|| {
            RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "unknown", name.clone()))
        })?;
        // What speaks TLS at the Sentinels does so at Redis.
        seen.primary = match seen.primary {
            ConnectionAddr::TcpTls { insecure, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure, tls_params: None }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        Ok(())
    }
}

/// Where a Sentinel says that the primary is.
pub(super) struct Seen {
    pub(super) primary: ConnectionAddr,
    sentinel: Connection,
}

/// What it is called in sentences.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode {
            RedisMode::Single => "Redis at ",
            RedisMode::Sentinel(_) => "Redis by the Sentinels at ",
            RedisMode::Cluster => "Redis Cluster at ",
        })?;
        for (index, place) in self.places.iter().enumerate() {
            let scheme = match place.addr() {
                ConnectionAddr::TcpTls { .. } => "rediss",
                _ => "redis",
            };
            write!(f, "{}{scheme}://{}", if index == 0 { "" } else { ", " }, place.addr())?;
        }
        Ok(())
    }
}

fn login(username: &str, password: Option<&str>) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if !username.is_empty() {
        login = login.set_username(username);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    login
}

async fn in_time<T>(connecting: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(CONNECTING, connecting).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// The files that TLS takes. They are read again for each connection, since certificates are renewed; where that
/// fails, what was read last goes on.
struct Certificates {
    redis: Redis,
    last: Mutex<TlsCertificates>,
}

impl Certificates {
    fn new(redis: &Redis, files: &Files) -> Result<Self, RouteError> {
        let last = read(redis, |path| Ok(files.read(path)?.bytes().to_vec()))?;
        Ok(Self { redis: redis.clone(), last: Mutex::new(last) })
    }

    fn now(&self) -> TlsCertificates {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Ok(read) = read(&self.redis, |path| std::fs::read(path)) {
            *last = read;
        }
        last.clone()
    }
}

fn read(redis: &Redis, read: impl Fn(&Path) -> io::Result<Vec<u8>>) -> Result<TlsCertificates, RouteError> {
    let file = |field, path: &PathBuf| {
        read(path).map_err(|error| RouteError::Certificate {
            field,
            path: path.clone(),
            why: error.to_string(),
        })
    };
    let root_cert = redis.ca_file.as_ref().map(|path| file("cluster.redis.ca_file", path)).transpose()?;
    let client_tls = redis.identity.as_ref().map(|identity| {
        Ok(ClientTlsConfig {
            client_cert: file("cluster.redis.certificate", &identity.certificate)?,
            client_key: file("cluster.redis.key", &identity.key)?,
        })
    });
    Ok(TlsCertificates { client_tls: client_tls.transpose()?, root_cert })
}
