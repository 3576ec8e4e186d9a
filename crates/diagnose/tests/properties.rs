//! What must not change the class: wrappers, names, numbers inside names, the end of a text that is cut.

#![allow(clippy::disallowed_types, reason = "measures the time of a computation")]

mod support;

use std::time::{Duration, Instant};

use diagnose::classify;
use support::{Sample, corpus};

fn class(text: &str) -> &'static str {
    classify(text).class.as_str()
}

/// Wraps every sample, and lists those whose class changes.
fn changed(wrap: impl Fn(&Sample) -> Option<String>) -> Vec<String> {
    let wrong = |sample: Sample| {
        let text = wrap(&sample)?;
        let read = class(&text);
        (read != sample.class).then(|| format!("{} read as {read}:\n    {text}", sample.class))
    };
    corpus().into_iter().filter_map(wrong).collect()
}

#[track_caller]
fn assert_unchanged(wrap: impl Fn(&Sample) -> Option<String>) {
    let wrong = changed(wrap);
    assert!(wrong.is_empty(), "{} samples:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn wrappers_of_the_kubelet_and_of_grpc_do_not_change_the_class() {
    // The wrapper makes a failed pull of any text.
    let is_event = |sample: &Sample| sample.class != "unknown";
    assert_unchanged(|sample| {
        is_event(sample).then(|| format!("Back-off pulling image \"a/b:1\": ErrImagePull: {}", sample.text))
    });
    assert_unchanged(|sample| {
        let text = &sample.text;
        is_event(sample)
            .then(|| format!("Failed to pull image \"a/b:1\": rpc error: code = Unknown desc = {text}"))
    });
}

#[test]
fn escapes_do_not_change_the_class() {
    let escaped = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{{\"level\":\"error\",\"msg\":\"{text}\"}}")
    };
    assert_unchanged(|sample| Some(escaped(&sample.text)));
    assert_unchanged(|sample| Some(escaped(&escaped(&sample.text))));
}

#[test]
fn line_breaks_colours_and_case_do_not_change_the_class() {
    assert_unchanged(|sample| {
        let is_of_lines = sample.class == "unknown" || sample.text.matches('\n').count() > 1;
        (!is_of_lines).then(|| sample.text.replace('\n', " "))
    });
    assert_unchanged(|sample| Some(sample.text.replace('\n', "\r\n")));
    assert_unchanged(|sample| Some(format!("\u{1b}[31m{}\u{1b}[0m", sample.text)));
    assert_unchanged(|sample| Some(sample.text.to_ascii_uppercase()));
}

#[test]
fn a_table_of_events_has_the_class_of_its_most_specific_event() {
    assert_unchanged(|sample| {
        (sample.class != "unknown").then(|| {
            let event = sample.text.replace('\n', "\n                                            ");
            format!(
                "Events:\n  Type     Reason     Age                From               Message\n  ----     ------     \
                 ----               ----               -------\n  Normal   Scheduled  50s                \
                 default-scheduler  Successfully assigned x509/timeout-429 to node-503\n  Normal   Pulling    25s \
                 (x2 over 49s)  kubelet            Pulling image \"toomanyrequests:404\"\n  Warning  Failed     \
                 24s (x2 over 48s)  kubelet            {event}\n  Warning  Failed     24s (x2 over 48s)  kubelet  \
                 Error: ErrImagePull\n  Normal   BackOff    9s (x2 over 47s)   kubelet            Back-off pulling \
                 image \"toomanyrequests:404\"\n  Warning  Failed     9s (x2 over 47s)   kubelet            Error: \
                 ImagePullBackOff\n"
            )
        })
    });
}

/// Names that look like causes.
const UNLUCKY: &[&str] = &[
    "docker.io/library/toomanyrequests:429",
    "ghcr.io/myorg/unauthorized:503",
    "registry.corp:5000/x509/certificate:timeout",
    "quay.io/no-such-host/connection-refused:not-found",
    "library/denied@sha256:4294294294294294294294294294294294294294294294294294294294294294",
    "r.test/manifest-unknown:no-space-left-on-device",
];

#[test]
fn unlucky_names_do_not_change_the_class() {
    for name in UNLUCKY {
        assert_unchanged(|sample| Some(format!("Pulling image \"{name}\"\n{}", sample.text)));
        assert_unchanged(|sample| Some(format!("{}\nimage={name} digest=sha256:429503404", sample.text)));
        assert_eq!(class(&format!("Back-off pulling image \"{name}\"")), "unknown");
        assert_eq!(class(&format!("Failed to pull image \"{name}\": ")), "unknown", "{name}");
    }
}

#[test]
fn numbers_that_are_no_status_do_not_change_the_class() {
    for number in ["size 429503 bytes", "429 layers", "took 503ms", "port 404", "pid=401", "10.4.29.40:429"] {
        assert_unchanged(|sample| Some(format!("{number}\n{}", sample.text)));
        assert_eq!(class(number), "unknown", "{number}");
    }
}

/// The coarser classes that a text may have when its end is cut off, because the end is what tells them apart.
const COARSER: &[(&str, &str)] = &[
    // the body of a 429 names the limit
    ("rate_pull_quota", "rate_burst"),
    // the body of a 401, 403 or 404 explains it
    ("repo_unknown_or_private", "auth_missing"),
    ("auth_rejected", "auth_missing"),
    ("rate_login", "auth_missing"),
    ("forbidden_policy", "auth_missing"),
    ("geo_or_waf_block", "forbidden_policy"),
    ("auth_rejected", "forbidden_policy"),
    ("auth_missing", "forbidden_policy"),
    ("repo_unknown_or_private", "manifest_unknown"),
    ("media_type", "manifest_unknown"),
    ("protocol_garbage", "manifest_unknown"),
    ("rate_burst", "forbidden_policy"),
    ("not_configured", "manifest_unknown"),
    ("repo_unknown_or_private", "forbidden_policy"),
    // the end says that the answer is a web page
    ("protocol_garbage", "media_type"),
    // of a list of failures the last is cut
    ("auth_missing", "manifest_unknown"),
    // the digest is cut
    ("digest_gone", "manifest_unknown"),
    // "may require authorization" goes on with the reason
    ("auth_missing", "repo_unknown_or_private"),
    // "has expired or is not yet valid" goes on with the dates
    ("tls_not_yet_valid", "tls_expired"),
    // the time limit goes on with what it was for
    ("connect_timeout", "stalled"),
    // the host's name is cut
    ("blob_host", "dns"),
];

#[test]
fn a_cut_text_has_its_class_or_a_coarser_one_or_none() {
    let mut wrong = Vec::new();
    for sample in corpus() {
        // Every seventh end, and every end within the last 40 bytes: all ends take minutes.
        let near = sample.text.len().saturating_sub(40);
        let ends = sample.text.char_indices().map(|(at, _)| at).filter(|at| at % 7 == 0 || *at > near);
        let mut bad = ends.filter_map(|end| {
            let read = class(&sample.text[..end]);
            let is_fine =
                read == sample.class || read == "unknown" || COARSER.contains(&(sample.class.as_str(), read));
            (!is_fine).then_some((end, read))
        });
        if let Some((end, read)) = bad.next_back() {
            wrong.push(format!("{} cut to {read}:\n    {}", sample.class, &sample.text[..end]));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn random_texts_never_panic_and_spans_lie_within_the_text() {
    let mut random = fastrand::Rng::with_seed(12);
    let samples = corpus();
    for _ in 0..300 {
        let sample = &samples[random.usize(..samples.len())].text;
        let mut bytes = sample.as_bytes().to_vec();
        for _ in 0..random.usize(1..20) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some(span) = classify(&text).span {
            assert!(text.get(span.clone()).is_some(), "{span:?} of {text:?}");
        }
    }
    for text in
        ["", "\\", "\u{1b}[", "http://", "map[", "\"", "(mirrors also failed: (((", "sha256:", "\u{0}"]
    {
        assert_eq!(class(text), "unknown", "{text:?}");
    }
}

#[test]
fn the_time_is_linear_in_the_length() {
    let texts = [
        "a".repeat(1 << 20),
        "\\\"".repeat(1 << 19),
        "(mirrors also failed: ".repeat(1 << 15),
        "map[[".repeat(1 << 18),
        "https://r.test/v2/a/manifests/1: 42 ".repeat(1 << 15),
        "dial tcp ".repeat(1 << 17),
        "a/b:c ".repeat(1 << 17),
    ];
    classify("");
    for text in texts {
        let begun = Instant::now();
        classify(&text);
        let took = begun.elapsed();
        println!("{} MB of {:?}: {took:?}", text.len() >> 20, &text[..10]);
        assert!(took < Duration::from_secs(20), "{took:?} for {:?}", &text[..20]);
    }
}

#[test]
fn redaction_does_not_change_the_class() {
    assert_unchanged(|sample| Some(diagnose::redact(&sample.text)));
}
