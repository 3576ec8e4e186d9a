//! Strings of the formats.

/// A string in double quotes, as TOML, YAML and JSON all read it. Our texts have no control characters.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
