//! The credentials of a request: none, or a bearer token.

use http::{HeaderMap, header};
use oci::RegistryHost;
use registry::Caller;

use crate::http::failure::{BadAuthorization, Failure};

/// The caller that a request's `Authorization` header identifies. `None` if there is no such header.
///
/// # Errors
/// The header cannot be read, or its scheme is Basic. Basic credentials are for the registry alone: they are never
/// accepted or passed on.
pub(crate) fn read(headers: &HeaderMap, registry: &RegistryHost) -> Result<Option<Caller>, Failure> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(BadAuthorization::Twice.into());
    }
    let text = line.to_str().map_err(|_| BadAuthorization::Unreadable)?;
    let (scheme, rest) = text.split_once(' ').ok_or(BadAuthorization::Unreadable)?;
    if scheme.eq_ignore_ascii_case("basic") {
        return Err(Failure::PerClient(registry.clone()));
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(BadAuthorization::Unreadable.into());
    }
    let caller = Caller::bearer(rest.trim()).map_err(|_| BadAuthorization::Unreadable)?;
    Ok(Some(caller))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn shown(lines: &[&[u8]]) -> Result<Option<Caller>, Failure> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(line).unwrap());
        }
        read(&headers, &"registry.test".parse().unwrap())
    }

    #[test]
    fn a_token_identifies_a_caller_and_no_header_means_no_caller() {
        assert!(shown(&[]).unwrap().is_none());
        let one = shown(&[b"Bearer abc"]).unwrap().unwrap();
        for same in [&b"bearer abc"[..], b"BEARER   abc "] {
            assert!(shown(&[same]).unwrap().unwrap().id() == one.id());
        }
        assert!(shown(&[b"Bearer abd"]).unwrap().unwrap().id() != one.id());
    }

    #[test]
    fn a_header_without_a_token_is_refused_with_its_own_error() {
        let long = [b"Bearer ".to_vec(), vec![b'a'; 17 * 1024]].concat();
        for line in [
            &b""[..],
            b" ",
            b"Bearer",
            b"Bearer ",
            b"Bearer a b",
            b"Token abc",
            b"abc",
            b"Bearer t\xf6ken",
            &long,
        ] {
            let refused = shown(&[line]);
            assert!(
                matches!(refused, Err(Failure::Authorization(BadAuthorization::Unreadable))),
                "{:?}",
                line.get(..20)
            );
        }
        let twice = shown(&[b"Bearer abc", b"Bearer abc"]);
        assert!(matches!(twice, Err(Failure::Authorization(BadAuthorization::Twice))));
    }

    #[test]
    fn a_password_is_not_accepted() {
        assert!(matches!(shown(&[b"Basic YTpi"]), Err(Failure::PerClient(_))));
        assert!(matches!(shown(&[b"basic ???"]), Err(Failure::PerClient(_))));
    }
}
