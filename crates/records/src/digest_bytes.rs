//! Encodes digests as the raw bytes of their hash, which are half as long as their text.

use oci::Digest;

/// The raw bytes of the digest's hash: 32 of SHA-256, 64 of SHA-512.
pub(crate) fn of_digest(digest: &Digest) -> Vec<u8> {
    let nibble = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
    digest.hex().as_bytes().chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}

/// The digest whose hash has these bytes; `None` if no known algorithm has hashes of this length.
pub(crate) fn to_digest(bytes: &[u8]) -> Option<Digest> {
    let algorithm = match bytes.len() {
        32 => "sha256",
        64 => "sha512",
        _ => return None,
    };
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{algorithm}:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use oci::digest::Algorithm;

    use super::*;

    #[test]
    fn digests_are_the_same_after_conversion_to_bytes_and_back() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, b"layer");
            assert_eq!(to_digest(&of_digest(&digest)), Some(digest));
        }
        assert_eq!(to_digest(&[0; 31]), None);
    }
}
