//! Digests as the OCI image specification writes them: `algorithm:hex`.

use aws_lc_rs::digest;

/// A hash algorithm that registries use for content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// `sha256:`, the usual algorithm.
    #[default]
    Sha256,
    /// `sha512:`, the other registered algorithm.
    Sha512,
}

impl Algorithm {
    /// The digest of `bytes`, for example `sha256:9f86…`.
    pub fn digest(self, bytes: &[u8]) -> String {
        let (name, algorithm) = match self {
            Self::Sha256 => ("sha256", &digest::SHA256),
            Self::Sha512 => ("sha512", &digest::SHA512),
        };
        let hash = digest::digest(algorithm, bytes);
        let mut text = format!("{name}:");
        for byte in hash.as_ref() {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        text
    }
}

/// The `sha256:` digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    Algorithm::Sha256.digest(bytes)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_equal_known_values() {
        assert_eq!(
            sha256(b"{}"),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "the empty JSON object of the image specification"
        );
        assert_eq!(Algorithm::Sha512.digest(b"").len(), "sha512:".len() + 128);
    }
}
