//! A whole text, as it was reviewed. `UPDATE=1` writes the file again.

use std::path::PathBuf;

/// Compares a text with its file. Times, counts and ports differ from run to run, and with them the ends of lines.
#[track_caller]
pub(super) fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/diagnose/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(steady(text), steady(&expected), "{}: UPDATE=1 writes it again\n{text}", path.display());
    let long: Vec<_> = text.lines().filter(|line| is_too_long(line)).collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// The text without what differs from run to run. Wrapped lines are joined.
fn steady(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut in_verdict = true;
    for line in text.lines() {
        in_verdict &= !line.is_empty();
        let words: Vec<String> = line.split_whitespace().map(word).collect();
        let words = words.join(" ");
        match lines.last_mut() {
            Some(last) if in_verdict || line.starts_with(WRAPPED) => *last += &format!(" {words}"),
            _ => lines.push(words),
        }
    }
    let is_steady = |line: &&String| !CHANGING.iter().any(|name| line.starts_with(name));
    // The kubelet shows one reason during a try, and the other between two tries.
    let same =
        |line: &String| line.replace("T to T, N tries:", "T:").replace("ErrImagePull", "ImagePullBackOff");
    lines.iter().filter(is_steady).map(same).collect::<Vec<_>>().join("\n")
}

fn word(word: &str) -> String {
    let bare = word.trim_matches(['(', ')', ',', ';', '.', ':']);
    let is_number = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_time = bare.split(':').count() == 3 && bare.chars().all(|c| c.is_ascii_digit() || c == ':');
    match bare {
        "try" => word.replace("try", "tries"),
        _ if is_number => word.replace(bare, "N"),
        _ if is_time => word.replace(bare, "T"),
        _ => port(word),
    }
}

/// The word with the port of a loopback address replaced.
fn port(word: &str) -> String {
    let Some(at) = word.find(LOOPBACK) else { return word.to_owned() };
    let (before, after) = word.split_at(at + LOOPBACK.len());
    format!("{before}PORT{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Lines that can be pasted stay whole.
fn is_too_long(line: &str) -> bool {
    line.chars().count() > 80 && !line.starts_with("    ")
}

/// Rows that depend on the moment: the pods that have failed so far, the tries, what the mirror did meanwhile.
const CHANGING: &[&str] = &["scope ", "back-off ", "pull ", "mirror ", "cache ", "probes "];
const LOOPBACK: &str = "127.0.0.1:";
/// The beginning of a line that goes on with the one before.
const WRAPPED: &str = "            ";
