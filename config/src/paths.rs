//! Where things are when nobody says where.

use std::path::PathBuf;

/// The user's cache folder (XDG base directory specification), and the temporary folder where there is no home.
pub(crate) fn cache_dir() -> PathBuf {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("pullgate")
}
