//! Finds a program in the file system without running it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use oci::credential::CredentialError;

/// Finds `name`: a path, or a name in the search path `PATH`.
///
/// # Errors
/// If there is no such file, or if it may not be executed.
pub(crate) fn find(name: &Path) -> Result<PathBuf, CredentialError> {
    find_in(name, &std::env::var_os("PATH").unwrap_or_default())
}

fn find_in(name: &Path, search_path: &std::ffi::OsStr) -> Result<PathBuf, CredentialError> {
    let shown = name.display();
    if name.is_absolute() {
        return match is_executable(name) {
            Some(true) => Ok(name.to_owned()),
            Some(false) => Err(CredentialError(format!("{shown} is not executable: chmod +x {shown}"))),
            None => Err(CredentialError(format!("there is no program {shown}"))),
        };
    }
    let mut candidates = std::env::split_paths(search_path).map(|folder| folder.join(name));
    candidates
        .find(|candidate| is_executable(candidate) == Some(true))
        .ok_or_else(|| CredentialError(format!("there is no program {shown} in the search path (PATH)")))
}

/// Whether the file may be executed; `None` if there is no such file.
fn is_executable(path: &Path) -> Option<bool> {
    let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some(found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::program;

    #[test]
    fn a_program_is_found_by_path_and_by_name() {
        let (folder, path) = program("exit 1");
        assert_eq!(find(&path).unwrap(), path);
        assert_eq!(find_in(Path::new("program"), folder.path().as_os_str()).unwrap(), path);
    }

    #[test]
    fn a_missing_program_and_one_that_may_not_be_executed_have_different_errors() {
        let (folder, path) = program("exit 1");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = |name: &Path| find_in(name, folder.path().as_os_str()).unwrap_err().to_string();
        assert!(error(&path).contains("is not executable"));
        assert!(error(Path::new("/nowhere/program")).starts_with("there is no program /nowhere/program"));
        assert!(error(Path::new("other")).contains("in the search path"));
    }
}
