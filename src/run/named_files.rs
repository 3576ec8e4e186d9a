//! Opens or looks for every file, helper and program that the configuration names.
//!
//! `check config` prints the findings and `serve` logs them. Without them, a missing password would be noticed only at
//! the first pull that needs it.

use std::path::Path;
use std::time::SystemTime;

use config::Config;
use proxy::{ServerTls, TlsError};
use serde::Serialize;
use x509_parser::pem::Pem;

use super::upstream::Origins;

/// One finding about a file or program that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The severity.
    pub(crate) level: Level,
    /// The configuration key, such as `proxy.tls.cert`.
    pub(crate) key: String,
    /// The file or program, and its state.
    pub(crate) message: String,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Information.
    Note,
    /// The file or program works now and may fail later.
    Warning,
    /// The file or program cannot work.
    Error,
}

impl Finding {
    fn new(level: Level, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level, key: key.into(), message: message.into() }
    }
}

/// Opens every file and looks for every program that `config` names. Programs are not run.
pub(crate) async fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let origins = Origins::default();
    for upstream in &config.upstreams {
        for (key, origin, places) in origins.named(upstream) {
            if let Err(error) = origin.check(&places).await {
                findings.push(Finding::new(Level::Error, key, error.to_string()));
            }
        }
    }
    let config = config.clone();
    let blocking = tokio::task::spawn_blocking(move || {
        let now = SystemTime::now();
        let mut findings = Vec::new();
        for upstream in &config.upstreams {
            let own =
                upstream.ca_file.iter().map(|file| (format!("upstreams.{}.ca_file", upstream.id), file));
            let theirs = upstream.endpoints.iter().enumerate().filter_map(|(at, endpoint)| {
                Some((
                    format!("upstreams.{}.endpoints.{at}.ca_file", upstream.id),
                    endpoint.ca_file.as_ref()?,
                ))
            });
            for (key, file) in own.chain(theirs) {
                findings.extend(certificates(&key, file, now));
            }
        }
        if let Some(tls) = &config.proxy.tls {
            findings.extend(pair(&tls.cert, &tls.key, now));
        }
        findings.extend(room(&config.proxy.cache));
        findings
    });
    findings.extend(blocking.await.unwrap_or_default());
    findings
}

/// Logs the findings at the start of a process. The store reports a budget that is too large by itself, also later.
pub(crate) async fn log(config: Config) {
    let findings = check(&config).await.into_iter().filter(|finding| finding.key != MAX_SIZE);
    for Finding { level, key, message } in findings {
        match level {
            Level::Note => {}
            Level::Warning => tracing::warn!(key, "{message}"),
            Level::Error => tracing::error!(key, "{message}"),
        }
    }
}

/// The configuration key that causes a fault of the proxy's certificate.
pub(crate) fn tls_key(error: &TlsError, cert: &Path) -> &'static str {
    match error {
        TlsError::File { path, .. } if path == cert => "proxy.tls.cert",
        TlsError::File { .. } => "proxy.tls.key",
        TlsError::Pair(_) => "proxy.tls",
    }
}

/// Checks that the proxy's certificate and key are readable and belong together, and that the certificate is valid.
fn pair(cert: &Path, key: &Path, now: SystemTime) -> Vec<Finding> {
    match ServerTls::load(cert.to_owned(), key.to_owned()) {
        Ok(_) => certificates("proxy.tls.cert", cert, now),
        Err(error @ TlsError::Pair(_)) => {
            let message = format!("{} and {} do not belong together: {error}", cert.display(), key.display());
            vec![Finding::new(Level::Error, "proxy.tls", message)]
        }
        Err(error) => vec![Finding::new(Level::Error, tls_key(&error, cert), error.to_string())],
    }
}

/// The certificates of a PEM file, each with its expiry.
fn certificates(key: &str, file: &Path, now: SystemTime) -> Vec<Finding> {
    let shown = file.display();
    let failed = |why: String| vec![Finding::new(Level::Error, key, format!("{shown}: {why}"))];
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) => return failed(format!("cannot be read: {error}")),
    };
    let blocks: Vec<Pem> = Pem::iter_from_buffer(&text).filter_map(Result::ok).collect();
    let blocks = blocks.iter().filter(|block| block.label == "CERTIFICATE");
    let certificates: Vec<_> = blocks.filter_map(|block| block.parse_x509().ok()).collect();
    let ends = certificates.iter().map(|certificate| certificate.validity().not_after);
    let Some(first) = ends.min_by_key(|end| end.timestamp()) else {
        return failed("holds no certificate in PEM".to_owned());
    };
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs() as i64);
    let days = (first.timestamp() - now).div_euclid(DAY);
    let date = first.to_datetime().date();
    let (level, state) = match days {
        ..0 => (Level::Error, format!("ended on {date}")),
        0..DAYS_LEFT => (Level::Warning, format!("ends on {date}, in {days} days")),
        _ => (Level::Note, format!("ends on {date}, in {days} days")),
    };
    let which = if certificates.len() == 1 { "the certificate" } else { "the first certificate to end" };
    vec![Finding::new(level, key, format!("{shown}: {which} {state}"))]
}

/// Compares `max_size` with the file system of the cache folder.
fn room(cache: &config::Cache) -> Option<Finding> {
    let max_size = cache.max_size?;
    let existing = cache.dir.ancestors().find(|folder| folder.exists())?;
    let system = rustix::fs::statvfs(existing).ok()?;
    let total = system.f_blocks.saturating_mul(system.f_frsize);
    too_large(max_size, total)
        .map(|message| Finding::new(Level::Warning, MAX_SIZE, format!("{}: {message}", cache.dir.display())))
}

/// The warning, if a cache of `max_size` bytes cannot fill on a file system of `total` bytes.
pub(crate) fn too_large(max_size: u64, total: u64) -> Option<String> {
    // The store keeps this part free for others.
    let usable = total - total / 100 * 5;
    (max_size > usable).then(|| {
        let (wanted, holds) = (crate::admin::human::size(max_size), crate::admin::human::size(total));
        let unit = if total >= 10 << 30 { 1 << 30 } else { 1 << 20 };
        let advised = config::units::show_bytes(total / 5 * 4 / unit * unit);
        format!(
            "max_size is {wanted}, and the file system holds {holds}, of which 5 % stay free: the cache ends at the \
             smaller of both; write at most \"{advised}\""
        )
    })
}

/// The key of the cache's budget.
const MAX_SIZE: &str = "proxy.cache.max_size";
/// Seconds in a day.
const DAY: i64 = 86_400;
/// A certificate that expires within this number of days gives a warning.
const DAYS_LEFT: i64 = 14;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use loadtest::tls::Authority;

    use super::*;

    fn config(text: &str) -> Config {
        config::parse(text, Path::new("/etc/pullgate.toml"))
            .unwrap_or_else(|report| panic!("{report}"))
            .config
    }

    #[tokio::test]
    async fn missing_files_and_programs_are_named_with_their_keys() {
        let config = config(
            "builtin_upstreams = false\n\
             [upstreams.a]\nregistry = 'a.test'\naccess = 'shared'\nca_file = '/nowhere/ca.pem'\n\
             credentials = { username = 'me', password_file = '/nowhere/password' }\n\
             [upstreams.b]\nregistry = 'b.test'\naccess = 'shared'\ncredentials = { helper = 'pullgate-none' }\n\
             [proxy]\ntls = { cert = '/nowhere/tls.crt', key = '/nowhere/tls.key' }\n",
        );
        let findings = check(&config).await;
        let told: Vec<_> = findings.iter().map(|it| (it.key.as_str(), it.message.as_str())).collect();
        for (key, file) in [
            ("upstreams.a.credentials", "/nowhere/password"),
            ("upstreams.a.ca_file", "/nowhere/ca.pem"),
            ("upstreams.b.credentials", "docker-credential-pullgate-none"),
            ("proxy.tls.cert", "/nowhere/tls.crt"),
        ] {
            assert!(told.iter().any(|(k, message)| *k == key && message.contains(file)), "{key}: {told:?}");
        }
        assert!(findings.iter().all(|finding| finding.level == Level::Error));
        assert_eq!(check(&Config::default()).await, []);
    }

    #[test]
    fn a_certificate_must_belong_to_its_key_and_must_not_be_expired() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Authority::new().for_loopback().write_pem(folder.path()).unwrap();
        Authority::new().for_loopback().write_pem(other.path()).unwrap();
        let cert = folder.path().join("cert.pem");
        let good = pair(&cert, &folder.path().join("key.pem"), SystemTime::now());
        assert!(good.iter().all(|finding| finding.level < Level::Error), "{good:?}");
        assert!(good[0].message.contains("ends on "), "{good:?}");
        let mixed = pair(&cert, &other.path().join("key.pem"), SystemTime::now());
        assert_eq!((mixed[0].level, mixed[0].key.as_str()), (Level::Error, "proxy.tls"));
        let later = SystemTime::now() + std::time::Duration::from_secs(200 * 366 * 86_400);
        let ended = pair(&cert, &folder.path().join("key.pem"), later);
        assert!(ended[0].message.contains("ended on "), "{ended:?}");
    }

    #[test]
    fn a_size_beyond_the_file_system_is_a_warning_with_a_size_to_write() {
        assert_eq!(too_large(50 << 30, 100 << 30), None);
        let told = too_large(50 << 30, 20 << 30).unwrap();
        assert!(told.contains("write at most \"16GiB\""), "{told}");
    }
}
