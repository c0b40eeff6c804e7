//! Network namespaces without names: they and all in them go with the process that holds them,
//! however it ends.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _},
    process::{self, Command, Stdio},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, there as long as its value.
pub struct Namespace {
    handle: File,
}

/// What went wrong around a namespace.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// It could not be made.
    #[error("cannot make a network namespace ({0}): the benchmark needs root and Debian's util-linux")]
    Make(#[source] io::Error),
    /// It could not be entered, or left again.
    #[error("cannot enter a network namespace ({0}): the benchmark needs root")]
    Enter(#[source] io::Error),
    /// `ip` could not be run inside.
    #[error("cannot run ip ({0}): install Debian's iproute2")]
    Ip(#[source] io::Error),
    /// `ip` refused a line.
    #[error("ip refused a line of:\n{0}the benchmark needs a kernel with veth and root")]
    Configure(String),
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
        format!("/proc/{}/fd/{}", process::id(), self.handle.as_raw_fd())
    }

    /// Runs `work` inside. Sockets and programs made there stay there.
    ///
    /// It moves the calling thread and moves it back, since the programs that it starts are killed
    /// when the thread that started them ends.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> Result<T, NamespaceError> {
        let home = File::open("/proc/thread-self/ns/net").map_err(NamespaceError::Enter)?;
        switch_to(&self.handle)?;
        let result = work();
        switch_to(&home)?;
        Ok(result)
    }

    /// Runs lines of `ip -batch` inside.
    pub fn configure(&self, batch: &str) -> Result<(), NamespaceError> {
        let status = self.enter(|| {
            let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
            if let Some(mut stdin) = ip.stdin.take() {
                stdin.write_all(batch.as_bytes())?;
            }
            ip.wait()
        })?;
        if status.map_err(NamespaceError::Ip)?.success() {
            Ok(())
        } else {
            Err(NamespaceError::Configure(batch.to_owned()))
        }
    }
}

/// Makes a namespace around a program that does nothing, and takes hold of it before that ends.
fn make() -> io::Result<File> {
    let mut holder = Command::new("unshare")
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

fn switch_to(namespace: &File) -> Result<(), NamespaceError> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|error| NamespaceError::Enter(error.into()))
}
