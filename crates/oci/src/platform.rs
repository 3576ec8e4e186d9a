//! Platforms, and the choice of the child of an index for a platform. The rules are those of containerd's package
//! `platforms` (<https://pkg.go.dev/github.com/containerd/platforms>, functions `Normalize` and `Only`).
//!
//! An exact match is preferred to a compatible one, in any order of the index. `arm64` means `arm64/v8` and also runs
//! 32-bit `arm`; `arm/v7` runs `arm/v6` and `arm/v5`; `amd64/v3` runs the lower levels of amd64; `amd64` runs `386`.

use std::fmt;
use std::str::FromStr;

/// A platform such as `linux/arm64/v8`, in the spelling of its source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Platform {
    /// Operating system, for example `linux`.
    pub os: String,
    /// Architecture as Go names it, for example `amd64`.
    pub architecture: String,
    /// Level of the architecture, for example `v8`.
    pub variant: Option<String>,
}

/// The text is not of the form `os/architecture[/variant]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a platform such as linux/amd64 or linux/arm64/v8")]
pub struct PlatformError;

impl Platform {
    /// Makes a platform from its parts; an empty `variant` means none.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let variant = (!variant.is_empty()).then(|| variant.to_owned());
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant }
    }

    /// Linux with the architecture of this machine.
    pub fn of_this_machine() -> Self {
        Self::new("linux", std::env::consts::ARCH, "").normal()
    }

    /// Reads the platform of an image from its configuration; `None` if the document does not name one. Other fields of
    /// the document may be invalid: a node, too, reads these three fields first.
    pub fn of_config(document: &[u8]) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Fields {
            os: String,
            architecture: String,
            #[serde(default)]
            variant: Option<String>,
        }
        let fields: Fields = serde_json::from_slice(document).ok()?;
        Some(Self::new(&fields.os, &fields.architecture, &fields.variant.unwrap_or_default()))
    }

    /// Returns the index in `offered` of the child that a node of this platform pulls, or `None` if no child runs on
    /// it.
    ///
    /// Among equally good children the first one is chosen, as in containerd.
    pub fn choose<'a>(&self, offered: impl IntoIterator<Item = Option<&'a Self>>) -> Option<usize> {
        let offered: Vec<Option<Self>> = offered.into_iter().map(|child| child.map(Self::normal)).collect();
        self.runs().iter().find_map(|wanted| offered.iter().position(|child| child.as_ref() == Some(wanted)))
    }

    /// True if a node of this platform runs images built for `offered`.
    pub fn accepts(&self, offered: &Self) -> bool {
        self.choose([Some(offered)]).is_some()
    }

    /// The normal spelling of a platform: `linux/aarch64/8` becomes `linux/arm64`, `linux/arm` becomes
    /// `linux/arm/v7`.
    pub fn normal(&self) -> Self {
        let os = match self.os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            os => os.to_owned(),
        };
        let variant = self.variant.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (architecture, variant) = normal_architecture(&self.architecture.to_ascii_lowercase(), &variant);
        Self::new(&os, &architecture, &variant)
    }

    /// Every platform whose images run on this platform, in normal spelling, best first.
    fn runs(&self) -> Vec<Self> {
        let normal = self.normal();
        let variant = normal.variant.as_deref().unwrap_or_default();
        let other = |architecture: &str, variant: &str| Self::new(&normal.os, architecture, variant).normal();
        let mut runs = vec![normal.clone()];
        match normal.architecture.as_str() {
            "amd64" => {
                let level = version(variant).unwrap_or(1);
                runs.extend((1..level).rev().map(|level| other("amd64", &format!("v{level}"))));
                runs.push(other("386", ""));
            }
            "arm" => runs.extend(arm_below(variant).iter().map(|level| other("arm", level))),
            "arm64" => {
                runs.extend(arm64_below(variant).iter().map(|level| other("arm64", level)));
                runs.push(other("arm", "v8"));
                runs.extend(arm_below("v8").iter().map(|level| other("arm", level)));
            }
            _ => {}
        }
        runs
    }
}

/// Architecture and variant in Go's spelling; the default variant of an architecture is left out.
fn normal_architecture(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("i386" | "x86", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64" | "arm64", variant) => ("arm64", variant),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

/// The number in a variant such as `v3`.
fn version(variant: &str) -> Option<u32> {
    variant.strip_prefix('v')?.parse().ok().filter(|version| *version <= HIGHEST)
}

/// The levels of 32-bit Arm below `variant`, highest first; 5 is the lowest.
fn arm_below(variant: &str) -> Vec<String> {
    (5..version(variant).unwrap_or(5)).rev().map(|level| format!("v{level}")).collect()
}

/// The levels of 64-bit Arm below `variant`, highest first. v9.0 is based on v8.5, so v9.x runs v8.(x+5).
fn arm64_below(variant: &str) -> Vec<String> {
    let (major, minor) = variant.split_once('.').unwrap_or((variant, "0"));
    let major = if variant.is_empty() { Some(8) } else { version(major) };
    let minor = minor.parse().unwrap_or(0).min(HIGHEST);
    let named = |major: u32| {
        move |minor: u32| if minor == 0 { format!("v{major}") } else { format!("v{major}.{minor}") }
    };
    match major {
        Some(8) => (0..minor).rev().map(named(8)).collect(),
        Some(9) => (0..minor).rev().map(named(9)).chain((0..=minor + 5).rev().map(named(8))).collect(),
        _ => Vec::new(),
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(|part| !part.is_empty() && part.bytes().all(allowed)) {
            return Err(PlatformError);
        }
        match parts[..] {
            [os, architecture] => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::new(os, architecture, variant)),
            _ => Err(PlatformError),
        }
    }
}

/// The highest level that a variant may name. It limits the loop that an untrusted document can cause.
const HIGHEST: u32 = 99;

/// The largest image configuration that is read for its platform, in bytes: containerd's limit for documents that it
/// reads whole into memory.
pub const CONFIG_MAX: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().expect("a platform")
    }

    fn chosen<'a>(wanted: &str, offered: &[&'a str]) -> Option<&'a str> {
        let platforms: Vec<Platform> = offered.iter().map(|text| platform(text)).collect();
        platform(wanted).choose(platforms.iter().map(Some)).map(|index| offered[index])
    }

    #[test]
    fn a_configuration_names_its_platform_or_none() {
        let platform = |text: &str| Platform::of_config(text.as_bytes()).map(|platform| platform.to_string());
        assert_eq!(
            platform(r#"{"os":"linux","architecture":"arm","variant":"v6"}"#).unwrap(),
            "linux/arm/v6"
        );
        assert_eq!(platform(r#"{"os":"linux","architecture":"amd64","rootfs":7}"#).unwrap(), "linux/amd64");
        for nameless in ["", "{}", r#"{"os":"linux"}"#, r#"{"architecture":1,"os":"linux"}"#, "[]"] {
            assert_eq!(platform(nameless), None, "{nameless}");
        }
    }

    #[test]
    fn the_exact_platform_comes_before_a_compatible_one() {
        for (wanted, offered, right) in [
            ("linux/amd64", &["linux/amd64/v3", "linux/amd64"][..], Some("linux/amd64")),
            ("linux/amd64", &["linux/amd64/v3"], None),
            ("linux/amd64", &["linux/386", "linux/amd64/v1"], Some("linux/amd64/v1")),
            ("linux/amd64", &["windows/amd64", "linux/386"], Some("linux/386")),
            ("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2"], Some("linux/amd64/v2")),
            ("linux/amd64/v3", &["linux/amd64/v4"], None),
            ("linux/arm64/v8", &["linux/arm64"], Some("linux/arm64")),
            ("linux/arm64", &["linux/arm/v7", "linux/arm64/v8"], Some("linux/arm64/v8")),
            ("linux/arm64", &["linux/arm/v6", "linux/arm/v7"], Some("linux/arm/v7")),
            ("linux/arm64", &["linux/arm64/v9"], None),
            ("linux/arm64/v9", &["linux/arm64/v8", "linux/arm64/v8.5"], Some("linux/arm64/v8.5")),
            ("linux/arm64/v9.2", &["linux/arm64/v9.1", "linux/arm64/v8"], Some("linux/arm64/v9.1")),
            ("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6"], Some("linux/arm/v6")),
            ("linux/arm/v6", &["linux/arm/v7"], None),
            ("linux/arm", &["linux/arm/v7"], Some("linux/arm/v7")),
            ("linux/riscv64", &["linux/riscv64"], Some("linux/riscv64")),
            ("linux/s390x", &["linux/amd64"], None),
        ] {
            assert_eq!(chosen(wanted, offered), right, "{wanted} of {offered:?}");
        }
    }

    #[test]
    fn spellings_of_one_platform_are_equal() {
        for (one, other) in [
            ("linux/aarch64", "linux/arm64/v8"),
            ("Linux/X86_64", "linux/amd64/v1"),
            ("linux/armhf", "linux/arm"),
            ("linux/armel", "linux/arm/6"),
            ("macos/arm64", "darwin/arm64"),
            ("linux/i386", "linux/386"),
        ] {
            assert_eq!(platform(one).normal(), platform(other).normal(), "{one} {other}");
        }
    }

    #[test]
    fn a_child_without_a_platform_is_never_chosen() {
        let amd64 = platform("linux/amd64");
        assert_eq!(amd64.choose([None, Some(&amd64)]), Some(1));
        assert_eq!(amd64.choose([None, None]), None);
    }

    #[test]
    fn texts_that_are_no_platform_are_refused() {
        for text in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64", "linux/amd64/"] {
            assert_eq!(text.parse::<Platform>(), Err(PlatformError), "{text:?}");
        }
        assert_eq!(platform("linux/arm/v99999999999").choose([None]), None);
    }
}
