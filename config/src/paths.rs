//! Default places of files.

use std::ffi::OsString;
use std::path::PathBuf;

/// `pullgate` in the user's cache folder, or in the temporary folder if there is no home folder.
pub(crate) fn cache_dir() -> PathBuf {
    user_cache(|name| std::env::var_os(name)).unwrap_or_else(std::env::temp_dir).join("pullgate")
}

/// The user's cache folder. Relative values are ignored (XDG base directory specification).
fn user_cache(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Option<PathBuf> {
        user_cache(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_users_cache_folder_is_found_as_xdg_says() {
        assert_eq!(with(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]), Some("/c".into()));
        assert_eq!(with(&[("XDG_CACHE_HOME", "c"), ("HOME", "/h")]), Some("/h/.cache".into()));
        assert_eq!(with(&[("HOME", "")]), None);
    }
}
