//! Debian's docker-registry as a pull-through cache.

use std::{net::SocketAddr, path::Path};

use super::{
    setting::Setting,
    started::{Started, command, write},
};
use crate::{error::Error, process::Process};

pub(super) fn start(folder: &Path, setting: &Setting) -> Result<Started, Error> {
    let registry = command("docker-registry", "docker-registry")?;
    let file = folder.join("config.yml");
    write(&file, &config(folder, setting))?;
    let command = [registry, "serve".to_owned(), file.display().to_string()];
    let mut process = Process::start("docker-registry", &command, setting.cores, folder)?;
    let addr = process.says("where it listens", listening)?;
    Ok(Started { process, addr, admin: None, port: None })
}

fn config(folder: &Path, setting: &Setting) -> String {
    let tls = if setting.tls {
        format!(", tls: {{certificate: {:?}, key: {:?}}}", folder.join("cert.pem"), folder.join("key.pem"))
    } else {
        String::new()
    };
    format!(
        "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {root:?}, maxthreads: 100}}}}\n\
         http: {{addr: \"127.0.0.1:0\", secret: not-a-secret{tls}}}\n\
         proxy: {{remoteurl: {upstream:?}}}\n",
        root = folder.join("content"),
        upstream = setting.upstream,
    )
}

/// Finds the address in the log line `msg="listening on 127.0.0.1:43215"`; with TLS, `, tls` follows the address.
fn listening(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("listening on ")?;
    let end = rest.find(['"', ','])?;
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_with_and_without_tls() {
        let plain = "level=info msg=\"listening on 127.0.0.1:4321\" go.version=x";
        let tls = "level=info msg=\"listening on 127.0.0.1:4321, tls\" go.version=x";
        assert_eq!(listening(plain).map(|addr| addr.port()), Some(4321));
        assert_eq!(listening(tls), listening(plain));
        assert_eq!(listening("level=info msg=\"listening on 127.0.0.1:43"), None);
    }
}
