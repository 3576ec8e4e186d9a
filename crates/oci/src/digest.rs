//! Digests, and the proof that content matches a digest.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

/// A content digest: `sha256:<64 hex>` or `sha512:<128 hex>`, lower case.
///
/// OCI image specification, "Digests"; other registered algorithms are refused.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

/// The hash functions that the OCI image specification registers and pullgate verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// Proof that content hashed to this digest and had this length. Only a finished [`Verifier`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    digest: Digest,
    length: u64,
}

/// Hashes content piece by piece, and ends in a [`Verified`] or a [`Mismatch`].
pub struct Verifier {
    expected: Digest,
    length: u64,
    context: digest::Context,
}

/// The content hashed to another digest than expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("content hashes to {actual}, not to {expected}")]
pub struct Mismatch {
    /// The digest that was expected.
    pub expected: Digest,
    /// The digest of the content.
    pub actual: Digest,
}

/// The text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: expected sha256:<64 hex digits> or sha512:<128 hex digits>, lower case")]
pub struct ParseDigestError;

impl Digest {
    /// The digest of `bytes`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self { algorithm, hex: hex(digest::digest(algorithm.provider(), bytes).as_ref()) }
    }

    /// The SHA-256 of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// The hash function.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash in lower-case hexadecimal: safe as a file name.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Checks that `bytes` hash to this digest.
    pub fn verify(&self, bytes: &[u8]) -> Result<Verified, Mismatch> {
        let mut verifier = Verifier::new(self.clone());
        verifier.update(bytes);
        verifier.finish()
    }
}

/// True for a well-formed digest of an algorithm that pullgate does not verify. The grammar is `algorithm:encoded` (OCI
/// image specification, "Digests").
pub fn is_foreign(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else { return false };
    let separator = |c: char| matches!(c, '+' | '.' | '_' | '-');
    let component =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let encoded_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-');
    algorithm.split(separator).all(component)
        && !encoded.is_empty()
        && encoded.bytes().all(encoded_byte)
        && !["sha256", "sha512"].contains(&algorithm)
}

impl Verifier {
    /// Starts a verification against `expected`.
    pub fn new(expected: Digest) -> Self {
        let context = digest::Context::new(expected.algorithm.provider());
        Self { expected, length: 0, context }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.context.update(bytes);
    }

    /// The number of bytes added so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Ends the verification: compares the hash of all added bytes with the expected digest.
    pub fn finish(self) -> Result<Verified, Mismatch> {
        let actual = Digest { algorithm: self.expected.algorithm, hex: hex(self.context.finish().as_ref()) };
        if actual == self.expected {
            Ok(Verified { digest: self.expected, length: self.length })
        } else {
            Err(Mismatch { expected: self.expected, actual })
        }
    }
}

impl Verified {
    /// The digest that the content matches.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The length of the content in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Algorithm {
    /// The prefix of the digest's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    fn provider(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let (name, hex) = text.split_once(':').ok_or(ParseDigestError)?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(ParseDigestError),
        };
        let lower_hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
        if hex.len() != algorithm.hex_len() || !hex.bytes().all(lower_hex) {
            return Err(ParseDigestError);
        }
        Ok(Self { algorithm, hex: hex.into() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hex(bytes: &[u8]) -> Box<str> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect::<String>()
        .into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn known_digests() {
        assert_eq!(Digest::sha256(b"").to_string(), EMPTY);
        assert!(Digest::of(Algorithm::Sha512, b"abc").hex().starts_with("ddaf35a193617aba"));
    }

    #[test]
    fn only_the_right_bytes_are_verified() {
        let digest: Digest = EMPTY.parse().unwrap();
        assert_eq!(digest.verify(b"").unwrap().length(), 0);
        assert_eq!(digest.verify(b"x").unwrap_err().expected, digest);
    }

    #[test]
    fn pieces_hash_to_the_same_digest_as_the_whole() {
        let mut verifier = Verifier::new(Digest::sha256(b"hello world"));
        verifier.update(b"hello ");
        verifier.update(b"world");
        assert_eq!(verifier.finish().unwrap().length(), 11);
    }

    #[test]
    fn texts_that_are_no_digest_are_refused() {
        let upper = EMPTY.to_ascii_uppercase();
        for text in [
            "",
            "sha256:",
            "sha256:baddigeststring",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            &upper,
            &EMPTY[..70],
        ] {
            assert_eq!(text.parse::<Digest>(), Err(ParseDigestError), "{text}");
        }
    }
}
