//! The kinds of value a file may hold, each parsed into a type that cannot be wrong.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use registry::trust::HostPattern;
use registry::upstream::RepositoryPattern;
use registry::{ImageName, RegistryHost, Repository};
use url::Url;

use crate::model::{Access, OnExhausted, Platform};
use crate::raw::Endpoint;
use crate::read::{Field, Key, Node, Reader, Shape, Value, short};
use crate::{advice, helper, units};

/// A size in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteSize(pub(crate) u64);

/// A repository prefix, ending in `/`.
#[derive(Clone, Debug)]
pub(crate) struct Prefix(pub(crate) String);

/// A host pattern that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Host(pub(crate) HostPattern);

/// The `<name>` of `docker-credential-<name>`.
#[derive(Clone, Debug)]
pub(crate) struct HelperName(pub(crate) String);

/// A user name at a registry.
#[derive(Clone, Debug)]
pub(crate) struct UserName(pub(crate) String);

/// Public addresses, or a range.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AddressRange {
    /// Globally reachable addresses.
    Public,
    /// A range, or one address.
    Range(IpNet),
}

/// Sections by id, each with the place of its header.
#[derive(Clone, Debug)]
pub(crate) struct Table<T>(pub(crate) Vec<(Field<String>, T)>);

/// Implements [`Value`] for types written as a string: kind, and a function from text to value.
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
                    reader.problem(node.span(), message).expected = $kind.to_owned();
                }
                value
            }
        }
    };
}

text_value!(PathBuf, "path of a file or folder", |text| {
    // An address, or a pasted document, is no path, and may hold a secret.
    let good = !text.is_empty() && !text.contains("://") && !text.contains(['{', '\n', '\0']);
    good.then(|| text.into())
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
    helper::is_name(text).then(|| Self(text.to_owned()))
});
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
text_value!(Platform, "platform, such as linux/amd64 or linux/arm64/v8", |text| {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let parts: Vec<&str> = text.split('/').collect();
    let (os, architecture, variant) = match parts[..] {
        [os, architecture] => (os, architecture, None),
        [os, architecture, variant] => (os, architecture, Some(variant)),
        _ => return None,
    };
    let good = parts.iter().all(|part| word(part));
    good.then(|| Self { os: os.into(), architecture: architecture.into(), variant: variant.map(Into::into) })
});

impl Value for SocketAddr {
    const KIND: &'static str = "address and port, such as 127.0.0.1:5000 or [::]:5000";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        let text = reader.text::<Self>(node)?;
        let value = text.parse().ok();
        if value.is_none() {
            let message = format!("`{}` is not an address and port", reader.path());
            let problem = reader.problem(node.span(), message);
            problem.expected = Self::KIND.to_owned();
            problem.help = listen_help(text);
        }
        value
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
        with_unit(node, reader, units::duration, "s")
    }

    fn within(&self, low: &str, high: &str) -> bool {
        units::duration(low).is_some_and(|low| low <= *self)
            && units::duration(high).is_some_and(|high| *self <= high)
    }
}

impl Value for ByteSize {
    const KIND: &'static str = "size, such as \"50GiB\" or \"50GB\"";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        with_unit(node, reader, |text| units::bytes(text).map(Self), "GiB")
    }

    fn within(&self, low: &str, high: &str) -> bool {
        units::bytes(low).is_some_and(|low| low <= self.0)
            && units::bytes(high).is_some_and(|high| self.0 <= high)
    }
}

impl Value for AddressRange {
    const KIND: &'static str = "\"public\", a range such as 10.0.0.0/8, or an address";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        let text = reader.text::<Self>(node)?;
        if text == "public" {
            return Some(Self::Public);
        }
        let range = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        match range {
            Some(range) if !is_link_local(&range) => return Some(Self::Range(range.trunc())),
            Some(_) => {
                let message = "link-local and metadata addresses are never allowed";
                reader.problem(node.span(), message).expected = "another range".to_owned();
            }
            None => {
                let message = format!("`{}` has an entry that is no address range", reader.path());
                reader.problem(node.span(), message).expected = Self::KIND.to_owned();
            }
        }
        None
    }
}

impl Value for Access {
    const KIND: &'static str = "\"public\", \"shared\" or \"per-client\"";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        one_of(node, reader, [Self::Public, Self::Shared, Self::PerClient], Self::as_str)
    }
}

impl Value for OnExhausted {
    const KIND: &'static str = "\"release\" or \"hold\"";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        one_of(node, reader, [Self::Release, Self::Hold], Self::as_str)
    }
}

impl Value for Url {
    const KIND: &'static str = "https://host or https://host:port";

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        let text = reader.text::<Self>(node)?;
        let (message, help) = match Self::parse(text) {
            Ok(url) => match fault(&url) {
                None => return Some(url),
                Some(fault) => fault,
            },
            Err(_) => (format!("`{}` is not an address", reader.path()), scheme_help(text)),
        };
        reader.masks.extend(text.contains('@').then(|| node.span()));
        let problem = reader.problem(node.span(), message);
        problem.expected = Self::KIND.to_owned();
        problem.help = help;
        None
    }
}

/// An address alone, or a table.
impl Value for Vec<Endpoint> {
    const KIND: &'static str = "list of addresses or of tables";
    const KEYS: &'static [Key] = Endpoint::KEYS;
    const SHAPE: Shape = Shape::Inline;

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        read_list(node, reader, |node, reader| {
            if node.get_ref().is_table() {
                return Endpoint::read(node, reader);
            }
            let url = Url::read(node, reader)?;
            let span = Some(node.span());
            Endpoint::absent().map(|endpoint| Endpoint { url: Field { value: Some(url), span }, ..endpoint })
        })
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// Marks the lists whose entries are read one by one, each by its own type.
trait Item: Value {
    const LIST: &'static str;
    const LIST_SHAPE: Shape = Shape::Inline;
}

impl Item for RepositoryPattern {
    const LIST: &'static str = "list of repositories, such as [\"org/*\"]";
}

impl Item for AddressRange {
    const LIST: &'static str = "list of address ranges, such as [\"public\", \"10.0.0.0/8\"]";
}

impl Item for Host {
    const LIST: &'static str = "list of host names, such as [\"auth.docker.io\", \"*.docker.com\"]";
}

impl Item for crate::raw::Target {
    const LIST: &'static str = "list of sections";
    const LIST_SHAPE: Shape = Shape::List;
}

impl<T: Item> Value for Vec<T> {
    const KIND: &'static str = T::LIST;
    const KEYS: &'static [Key] = T::KEYS;
    const SHAPE: Shape = T::LIST_SHAPE;

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        read_list(node, reader, T::read)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;
    const KEYS: &'static [Key] = T::KEYS;
    const SHAPE: Shape = Shape::Inline;

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        T::read(node, reader).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn within(&self, low: &str, high: &str) -> bool {
        self.as_ref().is_none_or(|value| value.within(low, high))
    }
}

impl<T: Value> Value for Table<T> {
    const KIND: &'static str = "sections by id";
    const KEYS: &'static [Key] = T::KEYS;
    const SHAPE: Shape = Shape::Named;

    fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(table) = node.get_ref().as_table() else { return reader.wrong_type(node) };
        let mut sections = Vec::new();
        for (id, node) in table.iter() {
            let name = Field { value: id.get_ref().to_string(), span: Some(id.span()) };
            if !is_id(&name.value) {
                let message = format!("`{}` is not a short id", name.value.escape_default());
                let problem = reader.problem(id.span(), message);
                problem.expected = "lower-case letters, digits and '-', at most 63".to_owned();
                problem.help =
                    Some("the registry's host goes into the section, as `registry = \"...\"`".to_owned());
            }
            let section = reader.below(id.get_ref(), |reader| T::read(node, reader));
            sections.extend(section.map(|section| (name, section)));
        }
        Some(Self(sections))
    }

    fn absent() -> Option<Self> {
        Some(Self(Vec::new()))
    }
}

fn read_list<T>(
    node: &Node<'_>,
    reader: &mut Reader,
    mut read: impl FnMut(&Node<'_>, &mut Reader) -> Option<T>,
) -> Option<Vec<T>>
where
    Vec<T>: Value,
{
    let Some(items) = node.get_ref().as_array() else { return reader.wrong_type(node) };
    let read = |(at, item): (usize, &Node<'_>)| reader.below(&at.to_string(), |reader| read(item, reader));
    // A list with a bad entry is not used, but every entry is looked at.
    items.iter().enumerate().map(read).collect::<Vec<_>>().into_iter().collect()
}

fn with_unit<T: Value>(
    node: &Node<'_>,
    reader: &mut Reader,
    parse: impl Fn(&str) -> Option<T>,
    unit: &str,
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
        problem.help = number.map(|number| format!("write a unit: \"{number}{unit}\""));
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

/// What is wrong with an endpoint's address, and what to write.
fn fault(url: &Url) -> Option<(String, Option<String>)> {
    if !url.username().is_empty() || url.password().is_some() {
        let message = "the address holds a user name or password".to_owned();
        return Some((
            message,
            Some(format!("write the address without them; {}", advice::SECRETS_IN_FILES)),
        ));
    }
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
        return Some(("the address is neither https:// nor http://".to_owned(), scheme_help(url.as_str())));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some(("the address has a query or fragment".to_owned(), None));
    }
    let path = url.path().trim_matches('/');
    if !path.is_empty() {
        let origin = url.origin().ascii_serialization();
        let help = match path {
            "v2" => format!("write \"{origin}\"; /v2/ is added"),
            _ => format!("write {{ url = \"{origin}\", prefix = \"{path}/\" }}"),
        };
        return Some(("the address has a path".to_owned(), Some(help)));
    }
    None
}

fn scheme_help(text: &str) -> Option<String> {
    let host: RegistryHost = text.split('/').next()?.parse().ok()?;
    Some(format!("write \"https://{host}\""))
}

fn listen_help(text: &str) -> Option<String> {
    let port = text.rsplit(':').next()?.parse::<u16>().ok();
    match (text.strip_prefix(':').is_some(), port) {
        (true, Some(port)) => Some(format!("write \"0.0.0.0:{port}\" or \"[::]:{port}\" for all addresses")),
        (false, Some(port)) if text.starts_with("localhost:") => Some(format!("write \"127.0.0.1:{port}\"")),
        (false, None) if text.parse::<IpAddr>().is_ok() => Some("add a port, such as :5000".to_owned()),
        _ => None,
    }
}

fn is_link_local(range: &IpNet) -> bool {
    match range {
        IpNet::V4(range) => range.addr().is_link_local() && range.prefix_len() >= 16,
        IpNet::V6(range) => range.addr().is_unicast_link_local() && range.prefix_len() >= 10,
    }
}

/// Ids become labels and parts of paths in messages.
fn is_id(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(good)
}

/// Somebody may have put `user:password`, or `user:password@host`, where a name belongs.
fn may_hold_secret(kind: &str, text: &str) -> bool {
    kind == "user name" || kind.starts_with("path") || (text.contains('@') && !text.contains("@sha"))
}

fn indefinite(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
