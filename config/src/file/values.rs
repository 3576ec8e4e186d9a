//! The kinds of value in a file, each parsed into a type that holds only valid values. Addresses are in `address`,
//! lists and tables in `lists`.

use std::path::PathBuf;
use std::time::Duration;

use oci::RepositoryPattern;
use oci::credential::is_helper_name;
use oci::zone::HostPattern;
use oci::{ImageName, OnExhausted, RegistryHost, Repository, Reserve};
use toml::Spanned;
use url::Url;

use super::advice;
use super::read::{Node, Reader, Value, short};
use crate::model::Access;
use crate::units;
use oci::Platform;

/// A size in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteSize(pub(crate) u64);

/// The condition under which the admin endpoint shows the names of images, clients and nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Only at a loopback address.
    Auto,
    /// Always.
    Shown,
    /// Never.
    Hidden,
}

/// The workloads whose images are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discover {
    /// None.
    Off,
    /// Those of some namespaces.
    Namespaces,
    /// All.
    Cluster,
}

/// The name of a Kubernetes namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace(pub(crate) String);

/// A repository prefix, ending in `/`.
#[derive(Clone, Debug)]
pub(crate) struct Prefix(pub(crate) String);

/// A valid host pattern.
#[derive(Clone, Debug)]
pub(crate) struct Host(pub(crate) HostPattern);

/// The `<name>` of `docker-credential-<name>`.
#[derive(Clone, Debug)]
pub(crate) struct HelperName(pub(crate) String);

/// A program: a path, or a name in the search path.
#[derive(Clone, Debug)]
pub(crate) struct ProgramName(pub(crate) PathBuf);

/// An argument of a program.
#[derive(Clone, Debug)]
pub(crate) struct Argument(pub(crate) String);

/// Environment variables: names and values. Values may be secret.
#[derive(Clone)]
pub(crate) struct Variables(pub(crate) Vec<(String, String)>);

/// A user name at a registry.
#[derive(Clone, Debug)]
pub(crate) struct UserName(pub(crate) String);

/// Implements [`Value`] for types written as a string, from the kind and a function from text to value.
macro_rules! text_value {
    ($type:ty, $kind:literal, $parse:expr) => {
        impl Value for $type {
            const KIND: &'static str = $kind;

            fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                let text = reader.text::<Self>(node)?;
                let value = parse(text);
                if value.is_none() {
                    reader.masks.extend(may_hold_secret($kind, text).then(|| node.span()));
                    let message = format!("`{}` is not {}", reader.path(), indefinite(short($kind)));
                    let problem = reader.problem(node.span(), message);
                    problem.expected = $kind.to_owned();
                    problem.help = if $kind.starts_with("registry host") { host_help(text) } else { None };
                }
                value
            }
        }
    };
}

text_value!(PathBuf, "path of a file or folder", |text| {
    // Refuses an address or a pasted document: it is not a path, and may hold a secret.
    let good = !text.is_empty() && !text.contains("://") && !text.contains(['{', '\n', '\0']);
    good.then(|| text.into())
});
text_value!(Namespace, "namespace, such as shop", |text| {
    // A label of RFC 1123.
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = text.len() <= 63 && text.starts_with(word) && text.ends_with(word);
    (good && text.chars().all(|c| word(c) || c == '-')).then(|| Self(text.to_owned()))
});
text_value!(UserName, "user name", |text| (!text.is_empty() && !text.contains(':'))
    .then(|| Self(text.to_owned())));
text_value!(RegistryHost, "registry host, such as ghcr.io or host:5000", |text| text.parse().ok());
text_value!(ImageName, "image name, such as docker.io/library/alpine:3.20", |text| text.parse().ok());
text_value!(Prefix, "repository path, such as docker-hub/", |text| {
    let path: Repository = text.trim_end_matches('/').parse().ok()?;
    Some(Self(format!("{path}/")))
});
text_value!(HelperName, "name of a docker credential helper, such as ecr-login", |text| {
    is_helper_name(text).then(|| Self(text.to_owned()))
});
text_value!(ProgramName, "program, such as ecr-credential-provider or /usr/libexec/provider", |text| {
    // Refuses a relative path, because it is not clear which folder it would begin at.
    let good = if text.starts_with('/') { !text.ends_with('/') } else { is_helper_name(text) };
    (good && !text.contains('\0')).then(|| Self(text.into()))
});
text_value!(Argument, "argument of a program", |text| (!text.contains('\0')).then(|| Self(text.to_owned())));
text_value!(RepositoryPattern, "repository, such as org/app, org/* or *", |text| {
    let stem = text.strip_suffix('*').map_or(text, |stem| stem.strip_suffix('/').unwrap_or("?"));
    let good = text == "*" || stem.parse::<Repository>().is_ok();
    good.then(|| Self(text.to_owned()))
});
text_value!(Host, "host name, such as auth.docker.io or *.docker.com", |text| {
    let host: RegistryHost = text.strip_prefix("*.").unwrap_or(text).parse().ok()?;
    let good = !text.starts_with("*.") || host.as_str().contains('.');
    good.then(|| Self(HostPattern(text.to_ascii_lowercase())))
});
text_value!(Platform, "platform, such as linux/amd64 or linux/arm64/v8", |text| text.parse().ok());

impl Value for Variables {
    const KIND: &'static str = "table of environment variables, such as { AWS_PROFILE = 'pull' }";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        reader.masks.push(node.span());
        let Some(table) = node.get_ref().as_table() else { return reader.wrong_type(node) };
        let read = |(name, value): (&Spanned<_>, &Node<'_>)| {
            let (name, value) =
                (String::from(AsRef::<str>::as_ref(name.get_ref())), value.get_ref().as_str()?);
            let good = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
            good.then(|| (name, value.to_owned()))
        };
        let variables = table.iter().map(read).collect::<Option<Vec<_>>>();
        if variables.is_none() {
            let message = format!("`{}` does not give each variable a text", reader.path());
            reader.problem(node.span(), message).expected = Self::KIND.to_owned();
        }
        variables.map(Self)
    }

    fn absent() -> Option<Self> {
        Some(Self(Vec::new()))
    }
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Value for bool {
    const KIND: &'static str = "true or false";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        node.get_ref().as_bool().or_else(|| reader.wrong_type(node))
    }
}

impl Value for u64 {
    const KIND: &'static str = "whole number";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        let integer = node.get_ref().as_integer();
        integer
            .and_then(|n| Self::from_str_radix(n.as_str(), n.radix()).ok())
            .or_else(|| reader.wrong_type(node))
    }

    fn within(&self, low: &str, high: &str) -> bool {
        low.parse().is_ok_and(|low: Self| low <= *self) && high.parse().is_ok_and(|high: Self| *self <= high)
    }
}

impl Value for Duration {
    const KIND: &'static str = "duration, such as \"60s\", \"1h30m\" or \"7d\"";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        with_unit(node, reader, units::duration, |seconds| format!("{seconds}s"))
    }

    fn within(&self, low: &str, high: &str) -> bool {
        units::duration(low).is_some_and(|low| low <= *self)
            && units::duration(high).is_some_and(|high| *self <= high)
    }
}

impl Value for ByteSize {
    const KIND: &'static str = "size, such as \"50GiB\" or \"50GB\"";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        with_unit(node, reader, |text| units::bytes(text).map(Self), size_in_units)
    }

    fn within(&self, low: &str, high: &str) -> bool {
        units::bytes(low).is_some_and(|low| low <= self.0)
            && units::bytes(high).is_some_and(|high| self.0 <= high)
    }
}

impl Value for Discover {
    const KIND: &'static str = "\"off\", \"namespaces\" or \"cluster\"";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        one_of(node, reader, [Self::Off, Self::Namespaces, Self::Cluster], Self::as_str)
    }
}

impl Discover {
    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Namespaces => "namespaces",
            Self::Cluster => "cluster",
        }
    }
}

impl Value for Access {
    const KIND: &'static str = "\"public\", \"shared\" or \"per-client\"";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        one_of(node, reader, [Self::Public, Self::Shared, Self::PerClient], Self::as_str)
    }
}

impl Value for Reserve {
    const KIND: &'static str = "share, such as \"10%\", or whole number of pulls";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        if let Some(integer) = node.get_ref().as_integer() {
            let count = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
            return count.map(Self::Count).or_else(|| reader.wrong_type(node));
        }
        let text = reader.text::<Self>(node)?;
        let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
        let share = percent.filter(|percent| *percent <= 100).map(Self::Percent);
        if share.is_none() {
            let message = format!("`{}` is not {}", reader.path(), indefinite(short(Self::KIND)));
            let problem = reader.problem(node.span(), message);
            problem.expected = Self::KIND.to_owned();
            problem.help = Some("write a whole percentage from \"0%\" to \"100%\", or a number".to_owned());
        }
        share
    }
}

impl Value for Names {
    const KIND: &'static str = "\"auto\", true or false";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        match node.get_ref().as_bool() {
            Some(true) => Some(Self::Shown),
            Some(false) => Some(Self::Hidden),
            None => one_of(node, reader, [Self::Auto], |_| "auto"),
        }
    }
}

impl Value for OnExhausted {
    const KIND: &'static str = "\"release\" or \"hold\"";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        one_of(node, reader, [Self::Release, Self::Hold], Self::as_str)
    }
}

fn with_unit<T: Value>(
    node: &Node<'_>,
    reader: &mut Reader,
    parse: impl Fn(&str) -> Option<T>,
    in_units: fn(&str) -> String,
) -> Option<T> {
    let number = node.get_ref().as_integer().map(|number| number.as_str().to_owned());
    let value = match &number {
        Some(_) => None,
        None => parse(reader.text::<T>(node)?),
    };
    if value.is_none() {
        let message = format!("`{}` is not {}", reader.path(), indefinite(short(T::KIND)));
        let problem = reader.problem(node.span(), message);
        problem.expected = T::KIND.to_owned();
        problem.help = number.map(|number| format!("write a unit: \"{}\"", in_units(&number)));
    }
    value
}

fn one_of<T: Value + Copy, const N: usize>(
    node: &Node<'_>,
    reader: &mut Reader,
    all: [T; N],
    name: fn(T) -> &'static str,
) -> Option<T> {
    let text = reader.text::<T>(node)?;
    let value = all.into_iter().find(|value| name(*value) == text);
    if value.is_none() {
        let message = format!("`{}` cannot be this", reader.path());
        let problem = reader.problem(node.span(), message);
        problem.expected = T::KIND.to_owned();
        problem.help =
            advice::nearest(text, all.into_iter().map(name)).map(|near| format!("write \"{near}\""));
    }
    value
}

/// The advice for a size without a unit: it is taken as bytes if it is at least [`LEAST_BYTES`], else as GiB.
fn size_in_units(number: &str) -> String {
    match number.parse() {
        Ok(bytes) if bytes >= LEAST_BYTES => units::show_bytes(bytes),
        _ => format!("{number}GiB"),
    }
}

/// The advice for an address in place of a host: its host and port.
fn host_help(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host: RegistryHost = format!("{}{port}", url.host_str()?).parse().ok()?;
    Some(format!("write \"{host}\"; an address goes into `endpoints`"))
}

/// Numbers without a unit from this value on are taken as bytes, smaller numbers as GiB.
const LEAST_BYTES: u64 = 1 << 20;

/// True if `text` may hold `user:password` or `user:password@host` in place of a name.
fn may_hold_secret(kind: &str, text: &str) -> bool {
    kind == "user name" || kind.starts_with("path") || (text.contains('@') && !text.contains("@sha"))
}

fn indefinite(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
