//! The folder that containerd uses for a registry, and the traps of its `hosts.toml`.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::runtime::Version;
use crate::files::{Owner, owner};
use crate::finding::{Code, Finding};
use crate::model::{Mirror, Registry};

/// What containerd finds for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder; `None` if there is none.
    pub path: Option<PathBuf>,
    /// The bytes of its `hosts.toml`.
    pub hosts: Option<Vec<u8>>,
    /// True if the folder is `_default`.
    pub is_default: bool,
}

impl Folder {
    /// Looks for the folder of a registry in `certs_d` as containerd does: the first of four names; nothing is merged.
    pub fn find(certs_d: &Path, registry: &Registry) -> Self {
        let host = registry.host.as_str();
        let names = [
            registry.folder(),
            host.to_owned(),
            host.split(':').next().unwrap_or(host).to_owned(),
            DEFAULT.to_owned(),
        ];
        let found = names.iter().find(|name| certs_d.join(name).is_dir());
        let path = found.map(|name| certs_d.join(name));
        let hosts = path.as_ref().and_then(|path| std::fs::read(path.join("hosts.toml")).ok());
        Self { path, hosts, is_default: found.is_some_and(|name| name == DEFAULT) }
    }

    /// The faults of what was found, for a registry that should go through `mirror`. `exists` tells whether a file
    /// exists on the node.
    pub fn findings(
        &self,
        registry: &Registry,
        mirror: &Mirror,
        version: Option<Version>,
        exists: &dyn Fn(&str) -> bool,
    ) -> Vec<Finding> {
        let about = registry.host.as_str();
        let Some(path) = &self.path else {
            return vec![Finding::new(Code::NoFile, about, "certs.d has no folder for it, and no _default")];
        };
        let Some(hosts) = &self.hosts else {
            let seen = format!("{} has no hosts.toml, and hides _default", path.display());
            return vec![Finding::new(Code::EmptyFolder, about, seen)];
        };
        let shown = path.join("hosts.toml").display().to_string();
        let read = String::from_utf8(hosts.clone()).ok().and_then(|text| toml::from_str::<Table>(&text).ok());
        let Some(file) = read else {
            return vec![Finding::new(Code::FileIgnored, about, format!("{shown} is no TOML"))];
        };
        let mut findings = Vec::from_iter(ownership(about, &shown, hosts, &file, mirror));
        let reader = Reader { about, shown: &shown, mirror, version, exists };
        findings.extend(reader.whole_file(&file));
        findings.extend(reader.host(&file));
        findings
    }
}

/// Somebody else's file that names the mirror is as good as ours.
fn ownership(about: &str, shown: &str, hosts: &[u8], file: &Table, mirror: &Mirror) -> Option<Finding> {
    let finding = |code, seen| Some(Finding::new(code, about, seen));
    match owner(hosts) {
        Owner::Edited => finding(Code::EditedFile, format!("{shown} has our mark and another content")),
        Owner::Us if host(file, mirror).is_none() => finding(
            Code::OtherMirror,
            format!("{shown} names {}, not {}", hosts_of(file), mirror.url.as_str()),
        ),
        Owner::Other if host(file, mirror).is_none() => finding(
            Code::ForeignFile,
            format!("{shown} names {}, not {}", hosts_of(file), mirror.url.as_str()),
        ),
        Owner::Us | Owner::Other => None,
    }
}

/// What is needed to judge a file.
struct Reader<'a> {
    about: &'a str,
    shown: &'a str,
    mirror: &'a Mirror,
    version: Option<Version>,
    exists: &'a dyn Fn(&str) -> bool,
}

impl Reader<'_> {
    fn finding(&self, code: Code, seen: &str) -> Finding {
        Finding::new(code, self.about, format!("{}: {seen}", self.shown))
    }

    fn whole_file(&self, file: &Table) -> Vec<Finding> {
        let mut findings = Vec::new();
        let server = file.get("server").and_then(Value::as_str).unwrap_or_default();
        let names_mirror =
            |text: &str| text.trim_end_matches("/v2").trim_end_matches('/') == self.mirror.url.as_str();
        if names_mirror(server) {
            findings.push(self.finding(Code::NoFallback, &format!("server = {server:?} is the mirror")));
        }
        let no_host = file.get("host").and_then(Value::as_table).is_none_or(Table::is_empty);
        if no_host && !self.version.is_some_and(Version::reads_server_alone) {
            findings.push(self.finding(Code::FileIgnored, "there is no [host]"));
        }
        findings
    }

    fn host(&self, file: &Table) -> Vec<Finding> {
        let Some(host) = host(file, self.mirror) else { return Vec::new() };
        let mut findings = Vec::new();
        let known = |word: &str| {
            KNOWN.contains(&word) || word == REFERRERS && self.version.is_some_and(Version::knows_referrers)
        };
        if let Some(word) = strings(host, "capabilities").iter().find(|word| !known(word)) {
            findings.push(self.finding(Code::UnknownCapability, &format!("capabilities has {word:?}")));
        }
        let old = self.version.filter(|version| !version.knows_dial_timeout());
        if let (Some(version), true) = (old, host.contains_key("dial_timeout")) {
            findings.push(
                self.finding(
                    Code::DialTimeoutIgnored,
                    &format!("containerd {version} does not know the key"),
                ),
            );
        }
        if host.get("skip_verify").and_then(Value::as_bool) == Some(true) {
            findings.push(self.finding(Code::SkipVerify, "skip_verify = true"));
        }
        let missing = strings(host, "ca").into_iter().filter(|path| !(self.exists)(path));
        findings.extend(
            missing.map(|path| self.finding(Code::CaMissing, &format!("ca = {path:?} does not exist"))),
        );
        findings
    }
}

/// A key that is one string or a list of them.
fn strings(host: &Table, key: &str) -> Vec<String> {
    match host.get(key) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The table of the mirror.
fn host<'a>(file: &'a Table, mirror: &Mirror) -> Option<&'a Table> {
    let hosts = file.get("host")?.as_table()?;
    let ours = |url: &&String| url.trim_end_matches('/').trim_end_matches("/v2") == mirror.url.as_str();
    hosts.keys().find(ours).and_then(|url| hosts.get(url)?.as_table())
}

fn hosts_of(file: &Table) -> String {
    let hosts = file.get("host").and_then(Value::as_table);
    let names: Vec<_> = hosts.into_iter().flat_map(|hosts| hosts.keys().cloned()).collect();
    if names.is_empty() { "no mirror".to_owned() } else { names.join(", ") }
}

const DEFAULT: &str = "_default";
const KNOWN: &[&str] = &["pull", "resolve", "push"];
const REFERRERS: &str = "referrers";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::files::marked;

    const OURS: &str = "http://10.96.0.50:5000";

    fn registry() -> Registry {
        Registry { host: "ghcr.io".parse().unwrap(), server: "https://ghcr.io".parse().unwrap() }
    }

    fn codes(text: &str, version: Version) -> Vec<&'static str> {
        let folder = Folder { path: Some("/c/ghcr.io".into()), hosts: Some(text.into()), is_default: false };
        let mirror = Mirror { url: OURS.parse().unwrap(), ca: None, dial_timeout: Duration::from_secs(1) };
        let found = folder.findings(&registry(), &mirror, Some(version), &|path| path == "/ca.pem");
        found.iter().map(|finding| finding.code.as_str()).collect()
    }

    #[test]
    fn each_trap_of_a_file_has_its_code() {
        let (old, new) = (Version(1, 6, 20), Version(2, 2, 0));
        let file = |keys: &str| format!("server = 'https://ghcr.io'\n[host.'{OURS}']\n{keys}\n");
        let good = file("capabilities = ['pull', 'resolve']");
        assert_eq!(codes(&good, old), [""; 0]);
        assert_eq!(codes(&marked(&good), old), [""; 0]);
        assert_eq!(codes(&(marked(&good) + "# mine\n"), old), ["PG0406"]);
        assert_eq!(codes("[host.'https://spegel:1']\n", old), ["PG0405"]);
        assert_eq!(codes(&marked("[host.'http://10.0.0.1:5000']\n"), old), ["PG0420"]);
        assert_eq!(codes(&good.replace("https://ghcr.io", OURS), old), ["PG0412"]);
        let referrers = file("capabilities = ['pull', 'resolve', 'referrers']");
        assert_eq!((codes(&referrers, old), codes(&referrers, new)), (vec!["PG0413"], vec![]));
        let timeout = file("dial_timeout = '1s'");
        assert_eq!((codes(&timeout, old), codes(&timeout, new)), (vec!["PG0411"], vec![]));
        assert_eq!(codes(&file("ca = '/ca.pem'"), new), [""; 0]);
        assert_eq!(
            codes(&file("ca = ['/ca.pem', '/gone.pem']\nskip_verify = true"), new),
            ["PG0421", "PG0414"]
        );
        assert_eq!(codes("server = 'https://ghcr.io'\n", old), ["PG0405", "PG0416"]);
        assert_eq!(codes("[host", old), ["PG0416"]);
    }

    #[test]
    fn one_folder_is_used_and_an_empty_one_hides_default() {
        let certs_d = tempfile::tempdir().unwrap();
        let registry = Registry {
            host: "ghcr.io:5000".parse().unwrap(),
            server: "https://ghcr.io:5000".parse().unwrap(),
        };
        let found = || Folder::find(certs_d.path(), &registry);
        assert_eq!(found().path, None);
        for (name, is_default) in
            [("_default", true), ("ghcr.io", false), ("ghcr.io:5000", false), ("ghcr.io_5000_", false)]
        {
            fs::create_dir(certs_d.path().join(name)).unwrap();
            let folder = found();
            assert_eq!((folder.path, folder.is_default), (Some(certs_d.path().join(name)), is_default));
        }
        let mirror = Mirror { url: OURS.parse().unwrap(), ca: None, dial_timeout: Duration::from_secs(1) };
        assert_eq!(found().findings(&registry, &mirror, None, &|_| true)[0].code, Code::EmptyFolder);
    }
}
