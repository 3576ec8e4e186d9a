//! Addresses: to listen on, of endpoints, and the ranges that hosts may resolve to.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use oci::RegistryHost;
use url::Url;

use super::advice;
use super::read::{Node, Reader, Value};

/// A value of `addresses`: `public`, or a range.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AddressRange {
    /// Globally reachable addresses.
    Public,
    /// A range, or one address.
    Range(IpNet),
}

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

/// The fault of an endpoint's address: a message, and the text to write instead if it is known.
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
