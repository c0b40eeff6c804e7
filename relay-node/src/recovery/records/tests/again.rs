//! A test in a process of its own, since it does to it what the others would not survive.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the test `name` of `module` once more, with a variable by which it knows what to do.
pub(super) fn again(module: &str, name: &str, variable: (&str, &Path)) -> Command {
    through(&[], module, name, variable)
}

/// The same, started by another program.
pub(super) fn through(starter: &[&str], module: &str, name: &str, (key, value): (&str, &Path)) -> Command {
    let program = env::current_exe().unwrap();
    // As the test program knows it: without the crate.
    let (_, module) = module.split_once("::").unwrap();
    let name = format!("{module}::{name}");
    let mut words = starter.iter().map(OsStr::new).chain([program.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args([&name, "--exact", "--nocapture"]).env(key, value).stdout(Stdio::null());
    command
}
