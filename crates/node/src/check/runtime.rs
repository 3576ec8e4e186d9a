//! containerd's version and configuration, and their silent traps.

use toml::{Table, Value};

use crate::finding::{Code, Finding};

/// What is known of a node's containerd.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runtime {
    /// The version, if it is known.
    pub version: Option<Version>,
    /// `config_path`; empty if it is not set.
    pub config_path: String,
    /// True if there are tables `registry.mirrors`, or `registry.configs` with TLS.
    pub old_mirrors: bool,
    /// True if a setting makes 2.1 and later pull in the old way, which reads lists of folders.
    pub pulls_locally: bool,
}

/// A version of containerd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Reads the line that `containerd --version` prints: the third word, as `1.6.20~ds1` or `v2.1.4`.
    pub fn read(line: &str) -> Option<Self> {
        let word = line
            .split_whitespace()
            .find(|word| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()))?;
        let mut numbers = word.trim_start_matches('v').split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next()?.parse().ok();
        Some(Self(next()?, next()?, next().unwrap_or(0)))
    }

    /// True if `dial_timeout` has an effect.
    pub fn knows_dial_timeout(self) -> bool {
        self >= Self(2, 0, 7)
    }

    /// True if pulls go through the transfer service, which reads `config_path` as one folder.
    pub fn transfers(self) -> bool {
        self >= Self(2, 1, 0)
    }

    /// True if the capability `referrers` is known.
    pub fn knows_referrers(self) -> bool {
        self >= Self(2, 2, 0)
    }

    /// True if a file without `[host]` is used.
    pub fn reads_server_alone(self) -> bool {
        self >= Self(1, 7, 32)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Runtime {
    /// Reads the configuration that `containerd config dump` prints, or the file itself.
    ///
    /// # Errors
    /// If it is no TOML.
    pub fn read(version: Option<Version>, config: &str) -> Result<Self, toml::de::Error> {
        let config: Table = toml::from_str(config)?;
        let plugin = |name: &str| table(&config, &["plugins", name]);
        let images = plugin(IMAGES).or_else(|| plugin(CRI)).unwrap_or_default();
        let old = table(&images, &["containerd"]).unwrap_or_default();
        let registry = table(&images, &["registry"]).unwrap_or_default();
        let config_path = registry.get("config_path").and_then(Value::as_str).unwrap_or_default().to_owned();
        let filled =
            |key: &str| registry.get(key).and_then(Value::as_table).is_some_and(|table| !table.is_empty());
        let flag = |key: &str| images.get(key).or_else(|| old.get(key)).and_then(Value::as_bool);
        let downloads = images.get("max_concurrent_downloads").and_then(Value::as_integer);
        let pulls_locally = flag("use_local_image_pull") == Some(true)
            || flag("discard_unpacked_layers") == Some(true)
            || flag("disable_snapshot_annotations") == Some(false)
            || downloads.is_some_and(|downloads| downloads != 3)
            || filled("mirrors")
            || filled("configs");
        Ok(Self { version, config_path, old_mirrors: filled("mirrors"), pulls_locally })
    }

    /// The folders of `config_path`.
    pub fn folders(&self) -> Vec<&str> {
        self.config_path.split(':').filter(|folder| !folder.is_empty()).collect()
    }

    /// The faults of the configuration; `about` names the place that it was read from.
    pub fn findings(&self, about: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut found = |code, seen: String| findings.push(Finding::new(code, about, seen));
        let folders = self.folders();
        if folders.is_empty() {
            found(Code::ConfigPathUnset, format!("config_path = {:?}", self.config_path));
        }
        let transfers = self.version.is_none_or(Version::transfers) && !self.pulls_locally;
        if folders.len() > 1 && transfers {
            let version =
                self.version.map_or_else(|| "of unknown version".to_owned(), |version| version.to_string());
            found(
                Code::ConfigPathList,
                format!("config_path = {:?}, containerd {version}", self.config_path),
            );
        }
        if !folders.is_empty() && self.old_mirrors {
            found(Code::OldMirrors, format!("config_path = {:?} and registry.mirrors", self.config_path));
        }
        findings
    }
}

fn table(root: &Table, path: &[&str]) -> Option<Table> {
    let mut here = root;
    for key in path {
        here = here.get(*key)?.as_table()?;
    }
    Some(here.clone())
}

/// The plugin of images in configurations of version 3, and the CRI plugin in those of version 2.
const IMAGES: &str = "io.containerd.cri.v1.images";
const CRI: &str = "io.containerd.grpc.v1.cri";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn codes(version: &str, config: &str) -> Vec<&'static str> {
        let runtime = Runtime::read(Version::read(version), config).unwrap();
        runtime.findings("config.toml").iter().map(|finding| finding.code.as_str()).collect()
    }

    #[test]
    fn versions_are_read_as_distributions_print_them() {
        let read = |line: &str| Version::read(line).unwrap().to_string();
        assert_eq!(read("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+b1"), "1.6.20");
        assert_eq!(read("containerd github.com/containerd/containerd/v2 v2.1.4 abc"), "2.1.4");
        assert_eq!(read("containerd containerd.io 1.7.24 8f8"), "1.7.24");
        assert_eq!(Version::read("containerd"), None);
    }

    #[test]
    fn each_trap_of_the_configuration_has_its_code_and_only_where_it_bites() {
        let images = |rest: &str| format!("version = 3\n[plugins.'io.containerd.cri.v1.images']\n{rest}");
        let list = "[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d:/etc/docker/certs.d'";
        let one = "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry]\nconfig_path = '/etc/containerd/certs.d'\n";
        assert_eq!(codes("x 2.1.9 y", &images(list)), ["PG0402"]);
        assert_eq!(codes("x 2.0.5 y", &images(list)), [""; 0], "2.0 splits the list");
        assert_eq!(codes("x 2.2.0 y", &images(&format!("discard_unpacked_layers = true\n{list}"))), [""; 0]);
        assert_eq!(codes("x 2.2.0 y", &images(&format!("max_concurrent_downloads = 3\n{list}"))), ["PG0402"]);
        assert_eq!(codes("x 1.6.20 y", "version = 2\n"), ["PG0401"]);
        assert_eq!(codes("x 1.7.24 y", one), [""; 0]);
        let old =
            "[plugins.'io.containerd.grpc.v1.cri'.registry.mirrors.'docker.io']\nendpoint = ['http://a']\n";
        assert_eq!(codes("x 1.7.24 y", &format!("{one}{old}")), ["PG0403"]);
        assert_eq!(
            codes("no version", &images(list)),
            ["PG0402"],
            "the worse case when the version is unknown"
        );
    }
}
