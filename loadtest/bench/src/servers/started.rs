//! Code that the starts of all servers share: their files, the search for a program, and the result of a start.

use std::{fs, net::SocketAddr, path::Path};

use loadtest::sockets::Port;

use crate::{
    error::{Doing, Error},
    process::Process,
};

/// A server that has started.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) addr: SocketAddr,
    pub(super) admin: Option<SocketAddr>,
    pub(super) port: Option<Port>,
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).doing(format!("writing {}", path.display()))
}

/// The path of a command. The search includes Debian's folders of daemons, which a user's `PATH` does not have.
pub(super) fn command(name: &'static str, package: &'static str) -> Result<String, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file());
    found.map(|path| path.display().to_string()).ok_or(Error::Missing { command: name, package })
}
