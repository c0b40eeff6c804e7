//! Network namespaces without names: they and all in them go with the process that holds them,
//! however it ends.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::{Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process;

/// A network namespace, there as long as its value.
#[derive(Debug)]
pub struct Namespace {
    handle: File,
}

/// What went wrong around a namespace.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// It could not be made.
    #[error("cannot make a network namespace ({0}): that needs root and Debian's util-linux")]
    Make(#[source] io::Error),
    /// `ip` could not be run inside.
    #[error("cannot run ip ({0}): install Debian's iproute2")]
    Ip(#[source] io::Error),
    /// `ip` refused a line.
    #[error("ip refused a line of:\n{0}that needs root, and a kernel with veth")]
    Configure(String),
    /// A sysctl could not be set.
    #[error("cannot set {key} in a network namespace: {source}")]
    Sysctl {
        /// Which one.
        key: String,
        /// Why.
        source: io::Error,
    },
}

impl Namespace {
    /// A new namespace with its loopback up.
    pub fn new() -> Result<Self, NamespaceError> {
        let namespace = Self { handle: make().map_err(NamespaceError::Make)? };
        namespace.configure("link set lo up\n")?;
        Ok(namespace)
    }

    /// A path that other programs reach it by while this process lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.handle.as_raw_fd())
    }

    /// Runs lines of `ip -batch` inside.
    pub fn configure(&self, batch: &str) -> Result<(), NamespaceError> {
        let status = (|| {
            let mut ip = self.command("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
            if let Some(mut stdin) = ip.stdin.take() {
                stdin.write_all(batch.as_bytes())?;
            }
            ip.wait()
        })();
        if status.map_err(NamespaceError::Ip)?.success() {
            Ok(())
        } else {
            Err(NamespaceError::Configure(batch.to_owned()))
        }
    }

    /// Sets a network sysctl inside, e.g. `ipv4/ip_forward`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<(), NamespaceError> {
        self.enter(|| fs::write(format!("/proc/sys/net/{key}"), value))
            .map_err(|source| NamespaceError::Sysctl { key: key.to_owned(), source })
    }

    /// Runs `work` on a thread inside. Sockets made there stay inside wherever they go; programs are
    /// started by [`Namespace::command`] instead, since they would be killed when that thread ends.
    ///
    /// # Panics
    /// As `work` does, or when this process has lost the rights that it made the namespace with.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.handle.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("who may make a namespace may enter it");
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A command that will run inside, with the promise of [`process::command`].
    pub fn command(&self, program: &str) -> Command {
        let mut command = process::command("nsenter");
        command.arg(format!("--net={}", self.path())).args(["--", program]);
        command
    }
}

/// Makes a namespace around a program that does nothing, and takes hold of it before that ends.
fn make() -> io::Result<File> {
    let mut holder = process::command("unshare")
        .args(["--net", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let handle = (|| {
        let (Some(stdin), Some(stdout)) = (&mut holder.stdin, &mut holder.stdout) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        // Once `cat` has echoed a byte, the namespace is there.
        stdin.write_all(b"\n")?;
        stdout.read_exact(&mut [0])?;
        File::open(format!("/proc/{}/ns/net", holder.id()))
    })();
    drop(holder.stdin.take());
    holder.wait()?;
    handle
}
