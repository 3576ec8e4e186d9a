//! A text that stands in every secret of a test: where it turns up, a secret has leaked.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// The text. Registries of this crate put it into their tokens and cookies; tests into passwords.
pub const CANARY: &str = "canary-5ec7e7";

/// True if it stands in `bytes`: as it is, in base64 at any offset, or in hexadecimal.
pub fn is_in(bytes: &[u8]) -> bool {
    disguises().iter().any(|disguise| memchr::memmem::find(bytes, disguise.as_bytes()).is_some())
}

/// The forms of the text wherever it may stand. In base64 three bytes become four characters, so there are three
/// forms; the characters that depend on neighbours are left out.
fn disguises() -> Vec<String> {
    let encoded = (0..3).map(|offset| {
        let padded = [&b"\0\0\0"[..offset], CANARY.as_bytes()].concat();
        let text = STANDARD_NO_PAD.encode(padded);
        let (first, last) = ((offset * 8).div_ceil(6), (offset + CANARY.len()) * 8 / 6);
        text[first..last].to_owned()
    });
    let hexadecimal = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    encoded.chain([CANARY.to_owned(), hexadecimal]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_in_every_disguise_and_nowhere_else() {
        for before in ["", "u:", "user:", "user-1:", "x"] {
            for after in ["", "-", "-password", "!!"] {
                let text = format!("{before}{CANARY}{after}");
                assert!(is_in(text.as_bytes()), "{text}");
                let encoded = STANDARD_NO_PAD.encode(&text);
                assert!(is_in(format!("Basic {encoded}").as_bytes()), "{text} as {encoded}");
            }
        }
        assert!(is_in(b"63616e6172792d356563376537"));
        assert!(!is_in(b"canary-user, canary 5ec7e7 and Y2FuYXJ5LXVzZXI="));
    }
}
