//! Findings about a node: a stable code, what was seen, and what to do.

use crate::pages::{PAGES, Page};

oci::labels! {
    /// The code of a finding. It never changes its meaning. The range PG0400 to PG0499 belongs to nodes.
    Code {
        /// containerd reads no `hosts.toml`.
        ConfigPathUnset = "PG0401";
        /// `config_path` is a list, which containerd 2.1 and later read as one folder.
        ConfigPathList = "PG0402";
        /// Old `registry.mirrors` beside `config_path`.
        OldMirrors = "PG0403";
        /// A folder without a `hosts.toml` hides `_default`.
        EmptyFolder = "PG0404";
        /// Somebody else's file configures the registry.
        ForeignFile = "PG0405";
        /// Our file was changed by hand.
        EditedFile = "PG0406";
        /// No file configures the registry.
        NoFile = "PG0407";
        /// The mirror's name cannot be resolved on the node.
        MirrorUnresolvable = "PG0408";
        /// The mirror does not answer.
        MirrorSilent = "PG0409";
        /// Something else answers at the mirror's address, or it does not serve the registry.
        MirrorForeign = "PG0410";
        /// The runtime ignores `dial_timeout`.
        DialTimeoutIgnored = "PG0411";
        /// There is no way around the mirror.
        NoFallback = "PG0412";
        /// A capability that the runtime does not know: it ignores the whole file.
        UnknownCapability = "PG0413";
        /// The file with the mirror's authority is missing.
        CaMissing = "PG0414";
        /// The node's clock differs from the mirror's.
        Clock = "PG0415";
        /// The file cannot be read as TOML, or has no `[host]`: containerd ignores it.
        FileIgnored = "PG0416";
        /// A pull through the runtime did not reach the mirror.
        Bypassed = "PG0417";
        /// The configuration of the runtime is not known.
        RuntimeUnknown = "PG0418";
        /// The place of a file is unsafe: a link, another user's folder, a read-only file system.
        UnsafePlace = "PG0419";
        /// The file names another mirror.
        OtherMirror = "PG0420";
        /// `skip_verify` removes the verification of the registry's token server too.
        SkipVerify = "PG0421";
        /// A pull failed.
        PullFailed = "PG0422";
        /// The second pull was not served from the cache.
        NotCached = "PG0423";
    }
}

oci::labels! {
    /// The weight of a finding.
    Level {
        /// Pulls go around the mirror, fail, or cannot fall back.
        Error = "error";
        /// Something may be slow, or could not be looked at.
        Warning = "warning";
    }
}

/// Something that is wrong on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The code.
    pub code: Code,
    /// The registry, file or program that it is about.
    pub about: String,
    /// The observation: measured values, paths, texts.
    pub seen: String,
}

impl Finding {
    /// A finding.
    pub fn new(code: Code, about: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { code, about: about.into(), seen: seen.into() }
    }
}

impl Code {
    /// The weight.
    pub fn level(self) -> Level {
        match self {
            Self::DialTimeoutIgnored | Self::Clock | Self::RuntimeUnknown | Self::NotCached => Level::Warning,
            _ => Level::Error,
        }
    }

    /// The sentence that names it.
    pub fn title(self) -> &'static str {
        self.page().title
    }

    /// The effect on pulls.
    pub fn meaning(self) -> &'static str {
        self.page().meaning
    }

    /// The remedy.
    pub fn fix(self) -> &'static str {
        self.page().fix
    }

    fn page(self) -> &'static Page {
        &PAGES[self as usize]
    }

    /// The page in `docs/checks/`.
    pub fn document(self) -> String {
        let (title, meaning, fix) = (capital(self.title()), self.meaning(), capital(self.fix()));
        let command = match self {
            Self::PullFailed | Self::NotCached => "pullgate check pull IMAGE",
            _ => "pullgate check node",
        };
        format!(
            "# {}: {title}\n\nLevel: {}\n\n## What it means\n\n{meaning}\n\n## How to see it\n\n```console\n{command}\n```\n\n\
             ## What to do\n\n{fix}.\n",
            self.page().code,
            self.level()
        )
    }
}

/// The sentence with a capital at its start, unless that is a name in small letters.
fn capital(sentence: &str) -> String {
    let is_name = SMALL.iter().any(|name| sentence.starts_with(name));
    match sentence.split_at_checked(1) {
        Some((first, rest)) if !is_name => first.to_ascii_uppercase() + rest,
        _ => sentence.to_owned(),
    }
}

/// Names that keep their small letters.
const SMALL: &[&str] = &["containerd", "config_path", "skip_verify"];
/// Each code has its row.
const _: () = assert!(PAGES.len() == Code::ALL.len());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_at_the_place_of_its_code() {
        for code in Code::ALL {
            assert_eq!(code.page().code, code.as_str());
        }
    }
}
