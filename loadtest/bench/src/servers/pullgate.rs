//! pullgate, started from the measured binary.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    setting::Setting,
    started::{Started, write},
};
use crate::{
    error::{Doing, Error},
    process::Process,
};

/// The name of the upstream in `ns=`.
pub(crate) const UPSTREAM: &str = "bench.example";

/// Switches the log line of each request off, because the other servers write none either.
const REQUEST_LOG_OFF: &str = "RUST_LOG=warn";

pub(super) fn start(binary: &Path, folder: &Path, setting: &Setting) -> Result<Started, Error> {
    let file = folder.join("pullgate.toml");
    write(&file, &config(folder, setting))?;
    let environment =
        ["env", REQUEST_LOG_OFF].map(str::to_owned).into_iter().chain(setting.environment.clone());
    let program = [binary.display().to_string(), "proxy".to_owned(), "--config".to_owned()];
    let command: Vec<_> = environment.chain(program).chain([file.display().to_string()]).collect();
    let mut process = Process::start("pullgate", &command, setting.cores, folder)?;
    let addr = process.says("where the proxy listens", |log| announced(log, "proxy"))?;
    let admin = process.says("where the admin endpoint listens", |log| announced(log, "admin"))?;
    Ok(Started { process, addr, admin: Some(admin), port: None })
}

/// True if this binary accepts the upstream keys of `setting`.
pub(crate) fn knows(binary: &Path, folder: &Path, setting: &Setting) -> Result<bool, Error> {
    let file = folder.join("question.toml");
    write(&file, &config(folder, setting))?;
    let mut check = Command::new(binary);
    check.args(["check", "config", "--config"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let known = check.status().doing("asking pullgate about its configuration")?;
    let _ = fs::remove_file(file);
    Ok(known.success())
}

fn config(folder: &Path, setting: &Setting) -> String {
    let tls = if setting.tls {
        format!("tls = {{ cert = {:?}, key = {:?} }}\n", folder.join("cert.pem"), folder.join("key.pem"))
    } else {
        String::new()
    };
    let cache = setting.cache.clone().unwrap_or_else(|| folder.join("cache"));
    format!(
        "builtin_upstreams = false\n\
         [proxy]\nlisten = \"127.0.0.1:0\"\n{tls}\
         [proxy.cache]\ndir = {cache:?}\nmax_size = \"20GiB\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstreams.bench]\nregistry = \"{UPSTREAM}\"\nendpoints = [\"{upstream}\"]\n\
         addresses = [\"127.0.0.0/8\"]\ntag_max_age = \"1h\"\n{more}\n{sections}",
        upstream = setting.upstream,
        more = setting.upstream_keys,
        sections = setting.sections,
    )
}

/// Finds the address in the line `pullgate: proxy listening on 127.0.0.1:5000`.
fn announced(log: &str, listener: &str) -> Option<SocketAddr> {
    let begin = format!("pullgate: {listener} listening on ");
    let mut lines = log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    lines.find_map(|line| line.strip_prefix(begin.as_str()))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_once_its_line_is_complete() {
        let log = "pullgate: admin listening on 127.0.0.1:2\npullgate: proxy listening on 127.0.0.1:1";
        assert_eq!(announced(log, "admin").map(|addr| addr.port()), Some(2));
        assert_eq!(announced(log, "proxy"), None);
    }
}
