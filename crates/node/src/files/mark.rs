//! The mark of ownership: the first line of each file that we wrote, with a hash of everything after it.

use oci::Digest;

/// The owner of a text, as its first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// We wrote it, and nobody changed it.
    Us,
    /// We wrote it, and somebody changed it, or it was cut.
    Edited,
    /// Somebody else.
    Other,
}

/// The text of a file of our own: the mark, then `body`.
pub fn marked(body: &str) -> String {
    format!("{MARK}{}\n{body}", Digest::sha256(body.as_bytes()))
}

/// The owner of a text.
pub fn owner(text: &[u8]) -> Owner {
    let Some(rest) = text.strip_prefix(MARK.as_bytes()) else { return Owner::Other };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let body = rest.get(end + 1..).unwrap_or_default();
    let same = rest[..end] == *Digest::sha256(body).to_string().as_bytes();
    if same { Owner::Us } else { Owner::Edited }
}

/// TOML and YAML both read this line as a comment.
const MARK: &str = "# Written by `pullgate node apply`, taken back by `pullgate node restore`. Do not edit: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_byte_ends_the_ownership() {
        let text = marked("server = \"https://a\"\n");
        assert_eq!(owner(text.as_bytes()), Owner::Us);
        assert_eq!(owner(marked("").as_bytes()), Owner::Us);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            assert_ne!(owner(&changed), Owner::Us, "byte {at}");
            assert_ne!(owner(&text.as_bytes()[..at]), Owner::Us, "cut at {at}");
        }
        assert_eq!(owner(b"server = \"https://a\"\n"), Owner::Other);
        assert_eq!(owner(b""), Owner::Other);
    }
}
