//! The key `registry-mirrors` in docker's configuration. Every byte outside this key is kept.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// The document cannot carry the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    /// No JSON object.
    #[error("it is no JSON object ({0}): correct it first, dockerd does not start with it either")]
    NotAnObject(String),
    /// The key is there and is no list of addresses.
    #[error("its `registry-mirrors` is no list of addresses: correct it first")]
    NotAList,
}

/// The document with `mirror` as the first entry of `registry-mirrors`.
pub(super) fn with(text: &str, mirror: &str) -> Result<String, DockerError> {
    if text.trim().is_empty() {
        return Ok(format!("{{\n  \"registry-mirrors\": [{}]\n}}\n", quoted(mirror)));
    }
    let keys = keys(text)?;
    if let Some(list) = keys.iter().find(|(key, _)| key == KEY).map(|(_, value)| *value) {
        let mut mirrors = mirrors(list)?;
        mirrors.retain(|other| other != mirror);
        mirrors.insert(0, mirror.to_owned());
        return Ok(replaced(text, list, &listed(&mirrors)));
    }
    let open = text.find('{').map_or(0, |at| at + 1);
    let comma = if keys.is_empty() { "\n" } else { "," };
    Ok(format!("{}\n  \"{KEY}\": [{}]{comma}{}", &text[..open], quoted(mirror), &text[open..]))
}

/// The document without `ours` in `registry-mirrors`. An empty list stays: it says the same as none.
pub(super) fn without(text: &str, ours: &BTreeSet<String>) -> Result<String, DockerError> {
    let keys = keys(text)?;
    let Some((_, list)) = keys.iter().find(|(key, _)| key == KEY) else { return Ok(text.to_owned()) };
    let mut left = mirrors(list)?;
    let all = left.len();
    left.retain(|mirror| !ours.contains(mirror));
    Ok(if left.len() == all { text.to_owned() } else { replaced(text, list, &listed(&left)) })
}

/// The keys of an object with their values, which still lie in the text.
fn keys(text: &str) -> Result<Vec<(String, &str)>, DockerError> {
    let pairs: Pairs<'_> =
        serde_json::from_str(text).map_err(|error| DockerError::NotAnObject(error.to_string()))?;
    Ok(pairs.0.into_iter().map(|(key, value)| (key, value.get())).collect())
}

fn mirrors(list: &str) -> Result<Vec<String>, DockerError> {
    serde_json::from_str(list).map_err(|_| DockerError::NotAList)
}

/// `text` with `new` in the place of `part`, which lies in it.
fn replaced(text: &str, part: &str, new: &str) -> String {
    let at = part.as_ptr().addr() - text.as_ptr().addr();
    format!("{}{new}{}", &text[..at], &text[at + part.len()..])
}

fn listed(mirrors: &[String]) -> String {
    format!("[{}]", mirrors.iter().map(|mirror| quoted(mirror)).collect::<Vec<_>>().join(", "))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

const KEY: &str = "registry-mirrors";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OURS: &str = "http://10.96.0.50:5000";

    #[test]
    fn every_other_byte_stays() {
        let cases = [
            ("", "{\n  \"registry-mirrors\": [\"http://10.96.0.50:5000\"]\n}\n"),
            ("{}", "{\n  \"registry-mirrors\": [\"http://10.96.0.50:5000\"]\n}"),
            (
                "{\n\t\"debug\" : true }",
                "{\n  \"registry-mirrors\": [\"http://10.96.0.50:5000\"],\n\t\"debug\" : true }",
            ),
            (
                "{\"a\": {\"registry-mirrors\": 1}, \"registry-mirrors\" : [ \"https://b\" ] ,\"c\":2}",
                "{\"a\": {\"registry-mirrors\": 1}, \"registry-mirrors\" : [\"http://10.96.0.50:5000\", \"https://b\"] ,\"c\":2}",
            ),
        ];
        for (before, after) in cases {
            let text = with(before, OURS).unwrap();
            assert_eq!(text, after);
            serde_json::from_str::<Value>(&text).unwrap();
            assert_eq!(with(&text, OURS).unwrap(), text, "a second time changes nothing");
        }
    }

    #[test]
    fn only_our_mirror_is_taken_out_of_an_edited_document() {
        let ours = BTreeSet::from([OURS.to_owned()]);
        let text = r#"{"registry-mirrors": ["http://10.96.0.50:5000", "https://b"], "debug": true}"#;
        let left: Value = serde_json::from_str(&without(text, &ours).unwrap()).unwrap();
        assert_eq!(left, json!({"registry-mirrors": ["https://b"], "debug": true}));
        assert_eq!(without("{\"debug\":true}", &ours).unwrap(), "{\"debug\":true}");
    }

    #[test]
    fn a_document_that_dockerd_refuses_is_refused() {
        for bad in ["[]", "{", "null", "// a comment\n{}"] {
            assert!(matches!(with(bad, OURS), Err(DockerError::NotAnObject(_))), "{bad}");
        }
        assert_eq!(with("{\"registry-mirrors\": \"a\"}", OURS), Err(DockerError::NotAList));
    }
}
