//! A marker text that every secret of a test contains. A log, metric or answer that contains the text has leaked a secret.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// The marker text. Registries of this crate put it into their tokens and cookies; tests put it into passwords.
pub const CANARY: &str = "canary-5ec7e7";

/// True if `bytes` contains the marker text: plain, in base64 at any offset, or in hexadecimal.
pub fn is_in(bytes: &[u8]) -> bool {
    disguises().iter().any(|disguise| memchr::memmem::find(bytes, disguise.as_bytes()).is_some())
}

/// All encodings of the marker text. Base64 turns three bytes into four characters, so there are three base64 forms,
/// one for each offset; they leave out the characters that depend on neighbouring bytes.
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
    fn the_canary_is_found_in_every_encoding_and_nowhere_else() {
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
