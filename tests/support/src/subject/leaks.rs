//! Searches everything that pullgate shows or stores for the text that is part of every secret in the tests.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loadtest::canary;

/// Panics if `bytes` contain a secret; of long content only the first mebibyte is searched.
#[track_caller]
pub fn none_in(place: &str, bytes: &[u8]) {
    let searched = &bytes[..bytes.len().min(SEARCHED)];
    assert!(!canary::is_in(searched), "a secret stands in {place}:\n{}", String::from_utf8_lossy(searched));
}

/// Searches the pages of the admin endpoint; an endpoint that does not answer is skipped.
pub(crate) fn none_at(admin: &str) {
    for path in ["/metrics", "/status.json", "/", "/readyz"] {
        none_in(path, &ask(admin, path).unwrap_or_default());
    }
}

/// Searches what other processes can see of this process.
pub(crate) fn none_beside(process: u32) {
    for file in ["environ", "cmdline"] {
        let path = format!("/proc/{process}/{file}");
        none_in(&path, &fs::read(&path).unwrap_or_default());
    }
}

/// Searches every file below a folder, name and content; a file that was removed meanwhile is skipped.
pub(crate) fn none_below(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let place = path.display().to_string();
        none_in(&format!("the name {place}"), entry.file_name().as_encoded_bytes());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => none_below(&path),
            Ok(kind) if kind.is_file() => none_in(&place, &begin(&path)),
            _ => {}
        }
    }
}

/// The cache folders that a configuration names.
pub(crate) fn cache_folders(config: &str) -> Vec<PathBuf> {
    let values = config.split("dir = \"").skip(1).filter_map(|rest| rest.split('"').next());
    values.map(PathBuf::from).collect()
}

fn begin(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(SEARCHED as u64).read_to_end(&mut bytes);
    }
    bytes
}

fn ask(admin: &str, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// Bytes searched of each file. Longer files hold registry content, which is named by its digest.
const SEARCHED: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch::Scratch;

    #[test]
    #[should_panic(expected = "a secret stands in")]
    fn a_secret_deep_in_a_folder_is_found() {
        let scratch = Scratch::new();
        let folder = scratch.folder("a");
        fs::write(folder.join("b"), format!("x{}", canary::CANARY)).unwrap();
        none_below(scratch.path());
    }

    #[test]
    fn cache_folders_are_found_in_either_spelling() {
        let config = "[proxy]\ncache.dir = \"/a/b\"\n[proxy.cache]\ndir = \"/c\"\n";
        assert_eq!(cache_folders(config), [PathBuf::from("/a/b"), PathBuf::from("/c")]);
    }
}
