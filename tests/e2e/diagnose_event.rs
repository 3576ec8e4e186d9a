//! `pullgate diagnose --event`: the cause that a pasted text tells, offline.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::setup::BIN;

const REFUSED: &str = "Failed to pull image \"registry.test:5000/app:1\": failed to pull and unpack image \
    \"registry.test:5000/app:1\": failed to resolve reference \"registry.test:5000/app:1\": failed to do request: Head \
    \"https://registry.test:5000/v2/app/manifests/1\": dial tcp 192.0.2.7:5000: connect: connection refused";

#[test]
fn a_text_is_named_with_its_place_its_words_and_its_fix() {
    let (code, said) = run(&["--event", REFUSED], None);
    assert_eq!(code, Some(3));
    assert!(said.starts_with("connect_refused at connect to registry.test:5000\n"), "{said}");
    for part in [
        ">>connection refused<<",
        "  image     registry.test:5000/app:1\n",
        "  fix       check that the service runs and that the port is right\n",
        "  next      curl -sS -o /dev/null -v https://registry.test:5000/v2/\n",
        "  read      docs/errors.md#connect_refused\n",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
}

#[test]
fn json_has_the_same_from_stdin() {
    for arguments in [&["-o", "json"][..], &["--event", "-", "-o", "json"]] {
        let (code, said) = run(arguments, Some(REFUSED));
        assert_eq!(code, Some(3));
        let report: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(report["schema"], 1);
        assert_eq!(report["class"], "connect_refused");
        assert_eq!(report["stage"], "connect");
        assert_eq!(report["host"], "registry.test:5000");
        assert_eq!(report["matched"]["text"], "connection refused");
        assert_eq!(report.get("sample"), None);
    }
}

#[test]
fn an_unknown_text_ends_with_3_and_shows_a_sample_without_secrets() {
    let text = "the pull gave up\u{1b}[2J password=c4n4ry Authorization: Bearer c4n4ryc4n4ryc4n4ry";
    for output in ["text", "json"] {
        let (code, said) = run(&["--event", text, "-o", output], None);
        assert_eq!(code, Some(3));
        assert!(said.contains("unknown") && said.contains("the pull gave up"), "{said}");
        assert!(!said.contains("c4n4ry") && !said.contains('\u{1b}'), "{said}");
    }
}

#[test]
fn no_text_and_two_subjects_are_wrong_usage() {
    assert_eq!(run(&["--event", " "], None).0, Some(2));
    assert_eq!(run(&[], Some("")).0, Some(2));
    assert_eq!(run(&["alpine:3", "--event", "x"], None).0, Some(2));
    assert_eq!(run(&["pod/only-one-part"], None).0, Some(2));
}

/// Runs `diagnose` with these arguments, and returns the exit code and what stands on stdout.
fn run(arguments: &[&str], stdin: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(BIN);
    command.arg("diagnose").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("pullgate starts");
    let mut input = child.stdin.take().expect("a pipe");
    // A command that does not read its input closes the pipe.
    let _ = input.write_all(stdin.unwrap_or_default().as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("pullgate ends");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}
