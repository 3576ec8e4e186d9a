//! The status page, which shows the state without Grafana.

use support::http;

use crate::trouble::{REGISTRIES, Trouble};

#[tokio::test]
async fn the_status_page_says_what_is_wrong_in_one_small_document_without_scripts() {
    let trouble = Trouble::start().await;
    trouble.unfold().await;
    let answer = http::get(trouble.pullgate.admin(), "/").send().await;
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let page = answer.text();
    assert!(page.len() < 50_000, "{} bytes", page.len());
    for said in REGISTRIES.iter().chain(&["tls_expired", "rate_pull_quota", "auth_rejected"]) {
        assert!(page.contains(said), "{said} is not on the page:\n{page}");
    }
    for foreign in ["<script", "javascript:", "onload=", "src=\"http", "@import"] {
        assert!(!page.contains(foreign), "{foreign} is on the page");
    }
}
