//! `/api/v1`: what it says of real pulls, in the form that its own OpenAPI document describes.

use loadtest::image::Image;
use loadtest::registry::Registry;
use serde_json::{Value, json};
use support::{Pullgate, Scratch, http};

use crate::setup::{BIN, REGISTRY, after_pulls, config};

/// A pullgate that served three pulls and refused one, and its registry.
async fn busy(more: &str) -> (Registry, Pullgate, Scratch) {
    let scratch = Scratch::new();
    let (registry, pullgate, _) = after_pulls(&scratch, &Image::with_layers(90, &[4000, 500]), 3, more).await;
    (registry, pullgate, scratch)
}

async fn ask(pullgate: &Pullgate, path: &str) -> (u16, Value) {
    let answer = http::get(pullgate.admin(), path).send().await;
    assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    (answer.status.as_u16(), answer.json())
}

async fn fine(pullgate: &Pullgate, path: &str) -> Value {
    let (status, document) = ask(pullgate, path).await;
    assert_eq!(status, 200, "{path}: {document:#}");
    document
}

#[tokio::test]
async fn pages_follow_each_other_and_filters_narrow_them() {
    let (_registry, pullgate, _scratch) = busy("").await;
    let mut next = Some("/api/v1/pulls?since=2h&limit=3".to_owned());
    let mut ids = Vec::new();
    while let Some(path) = next {
        let page = fine(&pullgate, &path).await;
        ids.extend(
            page["pulls"].as_array().unwrap().iter().map(|pull| pull["id"].as_str().unwrap().to_owned()),
        );
        next = page["next"].as_str().map(str::to_owned);
    }
    let mut distinct = ids.clone();
    distinct.dedup();
    assert_eq!((ids.len(), distinct.len()), (4, 4), "each pull is on one page");

    let count = async |filter: &str| {
        fine(&pullgate, &format!("/api/v1/pulls?{filter}")).await["pulls"].as_array().unwrap().len()
    };
    for (filter, expected) in [
        ("failed=true", 1),
        ("outcome=failed", 1),
        ("outcome=hit", 2),
        ("image=library/app", 3),
        ("image=none", 1),
        ("registry=other.test", 0),
        ("until=1h", 0),
        ("order=slowest&limit=2", 2),
    ] {
        assert_eq!(count(filter).await, expected, "{filter}");
    }

    let failed = fine(&pullgate, "/api/v1/pulls?failed=true").await["pulls"][0].clone();
    assert_eq!((&failed["class"], &failed["stage"]), (&json!("registry_5xx"), &json!("manifest_head")));
    let miss = fine(&pullgate, "/api/v1/pulls?outcome=miss").await["pulls"][0].clone();
    let whole = fine(&pullgate, &format!("/api/v1/pulls/{}", miss["id"].as_str().unwrap())).await;
    assert_eq!(whole["objects"].as_array().unwrap().len(), 4, "{whole:#}");
    assert_eq!(whole["sent_bytes"], miss["sent_bytes"]);

    let history = fine(&pullgate, &format!("/api/v1/registries/{REGISTRY}/history")).await;
    let quarters = history["quarters"].as_array().unwrap();
    assert_eq!(quarters.iter().map(|quarter| quarter["pulls"].as_u64().unwrap()).sum::<u64>(), 4);
    let saved = fine(&pullgate, "/api/v1/savings?since=1d").await["registries"][0].clone();
    let sent = 2 * miss["sent_bytes"].as_u64().unwrap();
    assert_eq!((&saved["registry"], saved["bytes"].as_u64()), (&json!(REGISTRY), Some(sent)), "{saved:#}");
    assert_eq!(saved["counted_pulls"].as_u64(), Some(2));
}

#[tokio::test]
async fn a_cursor_of_another_list_and_absurd_numbers_are_refused() {
    let (_registry, pullgate, _scratch) = busy("").await;
    let page = fine(&pullgate, "/api/v1/pulls?limit=1").await;
    let (_, cursor) = page["next"].as_str().unwrap().split_once("cursor=").unwrap();
    let beyond = "9".repeat(30);
    for (query, told) in [
        (format!("pulls?limit=1&failed=true&cursor={cursor}"), "cursor"),
        (format!("pulls?limit=1&order=slowest&cursor={cursor}"), "cursor"),
        (format!("incidents?cursor={cursor}"), "cursor"),
        (format!("pulls?limit=1&cursor={}", changed(cursor)), "cursor"),
        (format!("pulls?cursor={}", "f".repeat(42)), "cursor"),
        ("pulls?limit=-5".to_owned(), "limit"),
        ("pulls?limit=0".to_owned(), "limit"),
        (format!("pulls?limit={beyond}"), "limit"),
        ("pulls?since=1000000y".to_owned(), "since"),
        (format!("pulls?since={beyond}d"), "since"),
        ("pulls?until=-1d".to_owned(), "until"),
        ("incidents?limit=-5".to_owned(), "limit"),
        ("incidents?since=1000000y".to_owned(), "since"),
        ("savings?since=1000000y".to_owned(), "since"),
        (format!("registries/{REGISTRY}/history?since=1000000y"), "since"),
    ] {
        let (status, document) = ask(&pullgate, &format!("/api/v1/{query}")).await;
        let error = document["error"].as_str().unwrap_or_default();
        assert!(status == 400 && error.contains(told), "{query}: {status} {document}");
    }
    // The cursor goes on with its own list: the errors above were about the lists.
    let rest = fine(&pullgate, page["next"].as_str().unwrap()).await;
    assert_eq!(rest["pulls"].as_array().unwrap().len(), 1);
}

/// The cursor with another last digit.
fn changed(cursor: &str) -> String {
    let (rest, last) = cursor.split_at(cursor.len() - 1);
    rest.to_owned() + if last == "0" { "1" } else { "0" }
}

/// Each answer, errors too, is valid by the schema that the OpenAPI document gives for its path and status.
#[tokio::test]
async fn every_answer_is_as_the_openapi_document_describes_it() {
    let (_registry, pullgate, _scratch) = busy("").await;
    let described = fine(&pullgate, "/api/v1/openapi.json").await;
    assert!(described["openapi"].as_str().unwrap().starts_with("3.1"));
    let id = fine(&pullgate, "/api/v1/pulls").await["pulls"][0]["id"].as_str().unwrap().to_owned();
    let mut seen = Vec::new();
    for (path, request, status) in [
        ("/api/v1/pulls", "/api/v1/pulls".to_owned(), 200),
        ("/api/v1/pulls", "/api/v1/pulls?limit=1".to_owned(), 200),
        ("/api/v1/pulls", "/api/v1/pulls?limit=-1".to_owned(), 400),
        ("/api/v1/pulls", "/api/v1/pulls?since=1000000y".to_owned(), 400),
        ("/api/v1/pulls", "/api/v1/pulls?cursor=%00".to_owned(), 400),
        ("/api/v1/pulls/{id}", format!("/api/v1/pulls/{id}"), 200),
        ("/api/v1/pulls/{id}", "/api/v1/pulls/zz".to_owned(), 400),
        ("/api/v1/pulls/{id}", "/api/v1/pulls/01900000-0000-7000-8000-000000000000".to_owned(), 404),
        ("/api/v1/incidents", "/api/v1/incidents".to_owned(), 200),
        ("/api/v1/incidents", "/api/v1/incidents?class=none".to_owned(), 400),
        ("/api/v1/incidents/{id}", "/api/v1/incidents/01900000-0000-7000-8000-000000000000".to_owned(), 404),
        ("/api/v1/registries/{registry}/history", format!("/api/v1/registries/{REGISTRY}/history"), 200),
        ("/api/v1/registries/{registry}/history", "/api/v1/registries/x/history?since=1h".to_owned(), 200),
        ("/api/v1/registries/{registry}/history", "/api/v1/registries/x/history?limit=1".to_owned(), 400),
        ("/api/v1/savings", "/api/v1/savings".to_owned(), 200),
        ("/api/v1/savings", "/api/v1/savings?since=2000-01-01T00:00:00Z".to_owned(), 400),
    ] {
        let (answered, document) = ask(&pullgate, &request).await;
        assert_eq!(answered, status, "{request}: {document:#}");
        let answers = &described["paths"][path]["get"]["responses"][status.to_string()];
        let mut schema = answers["content"]["application/json"]["schema"].clone();
        assert!(schema.is_object(), "{path} describes no {status}");
        schema["components"] = described["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let faults: Vec<_> = validator.iter_errors(&document).map(|fault| fault.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new(), "{request}: {document:#}");
        seen.push(path);
    }
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.keys().all(|path| seen.contains(&path.as_str())), "every path is asked for");
    assert_eq!(ask(&pullgate, "/api/v1/nothing").await.0, 404);
}

#[tokio::test]
async fn names_that_are_hidden_are_on_no_page() {
    let (_registry, pullgate, _scratch) = busy("admin.names = false\n").await;
    let page = fine(&pullgate, "/api/v1/pulls").await;
    let id = page["pulls"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(page["names"], json!(false));
    for path in ["/api/v1/pulls", &format!("/api/v1/pulls/{id}"), "/status.json", "/"] {
        let text = http::get(pullgate.admin(), path).send().await.text();
        for name in ["library/app", "library/none", "127.0.0.1\"", "sha256:"] {
            assert!(!text.contains(name), "{path} shows {name}: {text}");
        }
    }
    let (status, refused) = ask(&pullgate, "/api/v1/pulls?image=app").await;
    assert_eq!(status, 403);
    assert!(refused["error"].as_str().unwrap().contains("admin.names"), "{refused}");
}

#[tokio::test]
async fn records_that_are_off_are_said_to_be_off() {
    let scratch = Scratch::new();
    let text = config(&scratch) + "[records]\nenabled = false\n";
    let pullgate = Pullgate::start(BIN, &scratch, &text).await;
    let (status, off) = ask(&pullgate, "/api/v1/pulls").await;
    assert_eq!(status, 503);
    assert!(off["error"].as_str().unwrap().contains("enabled = false"), "{off}");
}
