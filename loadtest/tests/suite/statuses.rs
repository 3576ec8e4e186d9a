//! Answers that are valid HTTP with wrong content, and the selection of requests by a rule.

use loadtest::registry::{Answer, At, Kind, Rule, TooMany};

use crate::client::{Ending, get, head, layer_path, request, with_bad_layer, with_image};

const MANIFEST: &str = "/v2/library/app/manifests/1";

#[tokio::test]
async fn a_rule_applies_only_to_matching_requests() {
    let (registry, image) = with_image().await;
    let id = registry
        .fault(Rule::manifest().get().repository("library/app").reference("1").after(1).once().status(500));
    assert_eq!(head(&registry, MANIFEST).await.status, 200, "another method");
    assert_eq!(get(&registry, &format!("/v2/library/app/manifests/{}", image.digest())).await.status, 200);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(get(&registry, MANIFEST).await.status);
    }
    assert_eq!(statuses, [200, 500, 200], "after one, once");
    assert_eq!(registry.used(id), 1);
}

#[tokio::test]
async fn newer_rules_win_and_rules_can_be_removed() {
    let (registry, _) = with_image().await;
    registry.fault(Rule::any().unavailable(503));
    let spell = registry.fault(Rule::manifest().too_many_requests(TooMany::RetryAfter(7)));
    assert_eq!(get(&registry, MANIFEST).await.header("retry-after"), Some("7"));
    registry.clear(spell);
    assert_eq!(get(&registry, MANIFEST).await.status, 503);
    registry.clear_faults();
    assert_eq!(get(&registry, MANIFEST).await.status, 200);
}

#[tokio::test]
async fn rules_by_header() {
    let (registry, image) = with_image().await;
    registry.fault(Rule::blob().with_header("range").ignore_range());
    let reply = request(registry.addr(), "GET", &layer_path(&image), &[("range", "bytes=10-")]).await;
    assert_eq!((reply.status, reply.body), (200, image.layers[0].bytes.to_vec()));

    registry.fault(Rule::blob().without_header("range").status(503));
    assert_eq!(get(&registry, &layer_path(&image)).await.status, 503);
}

#[tokio::test]
async fn every_429_has_its_form() {
    let (registry, _) = with_image().await;
    for (shape, remaining, text) in [
        (TooMany::HubQuota, true, "\"code\":\"TOOMANYREQUESTS\""),
        (TooMany::HubQuotaMessage, true, "{\"message\":\"toomanyrequests: You have reached"),
        (TooMany::HubAbuse, false, "Too Many Requests"),
        (TooMany::HubLogin, false, "login attempts"),
        (TooMany::Ghcr, false, "allowed: 44000/minute"),
        (TooMany::Html, false, "<!DOCTYPE html>"),
        (TooMany::Plain, false, "too many requests"),
    ] {
        registry.fault(Rule::manifest().once().too_many_requests(shape));
        let reply = get(&registry, MANIFEST).await;
        assert_eq!(reply.status, 429);
        assert_eq!(reply.header("ratelimit-remaining").is_some(), remaining, "{shape:?}");
        assert_eq!(reply.header("retry-after"), None);
        assert!(String::from_utf8(reply.body).unwrap().contains(text), "{shape:?}");
    }
}

#[tokio::test]
async fn refusals_loops_and_pages() {
    let (registry, _) = with_image().await;
    let once = |rule: Rule| registry.fault(rule.once());

    once(Rule::manifest().unauthorized(Some("invalid_token")));
    assert!(
        get(&registry, MANIFEST)
            .await
            .header("www-authenticate")
            .unwrap()
            .contains("error=\"invalid_token\"")
    );
    once(Rule::manifest().challenge_to("http://169.254.169.254/token"));
    assert!(get(&registry, MANIFEST).await.header("www-authenticate").unwrap().contains("169.254.169.254"));
    once(Rule::manifest().denied());
    assert_eq!(get(&registry, MANIFEST).await.json()["errors"][0]["code"], "DENIED");
    once(Rule::manifest().blocked_by_waf());
    assert_eq!(get(&registry, MANIFEST).await.header("content-type"), Some("text/html; charset=utf-8"));
    once(Rule::manifest().html());
    assert_eq!(get(&registry, MANIFEST).await.status, 200);
    once(Rule::manifest().redirect("http://169.254.169.254/latest/meta-data"));
    assert_eq!(
        get(&registry, MANIFEST).await.header("location"),
        Some("http://169.254.169.254/latest/meta-data")
    );
    once(Rule::manifest().redirect_to_itself());
    let itself = format!("{}{MANIFEST}?ns=docker.io", registry.url());
    assert_eq!(
        get(&registry, &format!("{MANIFEST}?ns=docker.io")).await.header("location"),
        Some(itself.as_str())
    );
    once(Rule::manifest().redirect_nowhere());
    assert_eq!(get(&registry, MANIFEST).await.header("location"), None);
    once(Rule::token().huge_token(10 << 20));
    assert!(get(&registry, "/token").await.body.len() > 10 << 20);
}

#[tokio::test]
async fn an_endless_tag_list() {
    let (registry, _) = with_image().await;
    registry.fault(Rule::tags().endless_tags(3));
    let mut path = "/v2/library/app/tags/list?n=3".to_owned();
    let mut last = String::new();
    for _ in 0..5 {
        let page = get(&registry, &path).await;
        let tags: Vec<String> = serde_json::from_value(page.json()["tags"].clone()).unwrap();
        assert!(tags.len() == 3 && tags[0] > last, "each page goes on after the last");
        last = tags[2].clone();
        let next = page.header("link").unwrap();
        path = next[1..next.find('>').unwrap()].to_owned();
    }
}

#[tokio::test]
async fn wrong_headers() {
    let (registry, image) = with_image().await;
    let other = format!("sha256:{}", "0".repeat(64));
    registry
        .fault(Rule::on(Kind::Manifest).claim_digest(&other).content_type("text/plain").claim_status(203));
    let reply = get(&registry, MANIFEST).await;
    assert_eq!((reply.status, reply.header("docker-content-digest")), (203, Some(other.as_str())));
    assert_eq!(
        (reply.header("content-type"), &reply.body[..]),
        (Some("text/plain"), &image.manifest.bytes[..])
    );

    registry.fault(Rule::manifest().no_digest());
    assert_eq!(head(&registry, MANIFEST).await.header("docker-content-digest"), None);
    registry.fault(Rule::blob().claim_range("bytes 7-8/9"));
    let ranged = request(registry.addr(), "GET", &layer_path(&image), &[("range", "bytes=0-1")]).await;
    assert_eq!((ranged.status, ranged.header("content-range")), (206, Some("bytes 7-8/9")));
}

#[tokio::test]
async fn wrong_bytes() {
    for (at, place) in [(At::Byte(0), 0), (At::Byte(77), 77), (At::LastByte, usize::MAX)] {
        let (registry, image, path) = with_bad_layer(Rule::blob().flip(at)).await;
        let (good, bad) = (&image.layers[0].bytes, get(&registry, &path).await);
        let wrong: Vec<usize> = (0..good.len()).filter(|index| good[*index] != bad.body[*index]).collect();
        assert_eq!(wrong, [place.min(good.len() - 1)]);
        assert_eq!(bad.ending, Ending::Whole);
    }
}

#[tokio::test]
async fn wrong_sizes_with_matching_lengths() {
    let (registry, image, path) = with_bad_layer(Rule::blob().once().shorten(10)).await;
    let length = image.layers[0].bytes.len();
    let short = get(&registry, &path).await;
    assert_eq!((short.body.len(), short.ending), (length - 10, Ending::Whole));
    registry.fault(Rule::blob().once().lengthen(10));
    assert_eq!(get(&registry, &path).await.body.len(), length + 10);
    registry.fault(Rule::blob().once().gzip());
    let packed = get(&registry, &path).await;
    assert_eq!((packed.header("content-encoding"), &packed.body[..2]), (Some("gzip"), &[0x1f, 0x8b][..]));
}

#[tokio::test]
async fn a_custom_answer() {
    let (registry, _) = with_image().await;
    registry.fault(Rule::ping().answer_with(|ask| Answer::with_body(418, "text/plain", ask.path.clone())));
    let reply = get(&registry, "/v2/").await;
    assert_eq!((reply.status, &reply.body[..]), (418, &b"/v2/"[..]));
}
