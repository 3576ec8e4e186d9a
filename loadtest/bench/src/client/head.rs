//! The head of an answer.

use crate::error::Error;

/// The parts of a response head that the benchmark needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Length of the body, bytes.
    pub(crate) length: u64,
    /// Length of the head itself, bytes.
    pub(crate) size: usize,
}

impl Head {
    /// Parses a head, if `bytes` hold a whole one.
    ///
    /// # Errors
    /// If the answer is not 200 with a length; then it cannot be measured.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let mut headers = [httparse::EMPTY_HEADER; 48];
        let mut response = httparse::Response::new(&mut headers);
        let size = match response.parse(bytes) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(Error::Answer(format!("not HTTP: {error}"))),
        };
        if response.code != Some(200) {
            let text = String::from_utf8_lossy(bytes);
            return Err(Error::Answer(format!("answered {}", text.chars().take(600).collect::<String>())));
        }
        let length =
            response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
        let length = length.ok_or_else(|| Error::Answer("answered without a length".to_owned()))?;
        Ok(Some(Self { length, size }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_head_is_parsed_and_half_a_head_is_not() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12\r\n\r\nbody";
        assert_eq!(Head::parse(whole).unwrap(), Some(Head { length: 12, size: whole.len() - 4 }));
        assert_eq!(Head::parse(&whole[..20]).unwrap(), None);
    }

    #[test]
    fn answers_that_cannot_be_measured_are_refused() {
        let failed = Head::parse(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").unwrap_err();
        assert!(failed.to_string().contains("503"), "{failed}");
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(Head::parse(b"SSH-2.0-x\r\n").is_err());
    }
}
