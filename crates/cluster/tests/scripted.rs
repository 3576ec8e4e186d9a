//! A discovery on an API server in process, which answers as real ones do on a bad day.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster::watch::{Waits, WatchState};
use cluster::{Client, Discovery, Scope, Settings};
use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::timeout;

/// An answer: a status and a body, or none.
type Scripted = Option<(u16, String)>;

/// A client whose requests `script` answers, by resource, `list` or `watch`, and the number of earlier requests of this
/// kind.
fn scripted(script: impl Fn(&str, &str, usize) -> Scripted + Send + Sync + 'static) -> Client {
    let (script, asked) = (Arc::new(script), Arc::new(Mutex::new(Vec::<(String, String)>::new())));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (script, asked) = (script.clone(), asked.clone());
        async move {
            let resource = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let kind = if watches { "watch" } else { "list" }.to_owned();
            let earlier = {
                let mut asked = asked.lock().unwrap();
                let key = (resource.clone(), kind.clone());
                let earlier = asked.iter().filter(|it| **it == key).count();
                asked.push(key);
                earlier
            };
            match script(&resource, &kind, earlier) {
                Some((status, body)) => {
                    let answer =
                        Response::builder().status(status).header("content-type", "application/json");
                    Ok::<_, Infallible>(answer.body(Body::from(body.into_bytes())).unwrap())
                }
                None => std::future::pending().await,
            }
        }
    });
    Client::new(service, "default")
}

fn pod(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "resourceVersion": version },
        "spec": { "containers": [{ "name": "c", "image": format!("r.test/{name}:1") }] }
    })
}

fn list(items: &[Value], version: &str) -> Scripted {
    let list = json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": version }, "items": items });
    Some((200, list.to_string()))
}

fn status(code: u16, reason: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": "canary message", "reason": reason, "code": code
    })
}

fn refusal(code: u16, reason: &str) -> Scripted {
    Some((code, status(code, reason).to_string()))
}

fn event(kind: &str, object: &Value) -> Scripted {
    Some((200, format!("{}\n", json!({ "type": kind, "object": object }))))
}

/// Runs a discovery until `find` returns a value.
async fn when<T>(client: Client, find: impl Fn(&Discovery) -> Option<T>) -> T {
    let settings = Settings { scope: Scope::Cluster, secrets: true, waits: Waits::default() };
    let discovery = Discovery::new(client, settings);
    let search = async {
        let mut changes = discovery.changes();
        loop {
            if let Some(found) = find(&discovery) {
                return found;
            }
            let _late = timeout(Duration::from_millis(100), changes.changed()).await;
        }
    };
    tokio::select! {
        () = discovery.run() => unreachable!("a discovery never ends"),
        found = timeout(Duration::from_secs(20), search) => {
            found.unwrap_or_else(|_| panic!("{:#?}\n{:#?}", discovery.wanted(), discovery.watches()))
        }
    }
}

fn images(discovery: &Discovery) -> Vec<String> {
    discovery.wanted().iter().map(|wanted| wanted.image.to_string()).collect()
}

fn state(discovery: &Discovery, resource: &str) -> Option<WatchState> {
    discovery.watches().into_iter().find(|((name, _), _)| *name == resource).map(|(_, state)| state)
}

#[tokio::test]
async fn after_410_the_list_begins_anew_and_what_is_gone_leaves() {
    let client = scripted(|resource, kind, earlier| match (resource, kind, earlier) {
        ("pods", "list", 0) => list(&[pod("gone", "1"), pod("stays", "1")], "1"),
        ("pods", "watch", 0) => event("ERROR", &status(410, "Expired")),
        ("pods", "list", 1) => list(&[pod("stays", "4")], "5"),
        ("pods", "watch", 1) => event("ADDED", &pod("new", "6")),
        (_, "list", _) => list(&[], "1"),
        _ => None,
    });
    let right = ["r.test/new:1", "r.test/stays:1"];
    when(client, |discovery| {
        let works = images(discovery) == right && state(discovery, "pods") == Some(WatchState::Live);
        works.then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_bad_answer_costs_only_what_it_is_about() {
    let client = scripted(|resource, kind, earlier| match (resource, kind, earlier) {
        ("pods", "list", _) => list(&[pod("a", "1")], "1"),
        ("deployments", "list", _) => refusal(403, "Forbidden"),
        ("statefulsets", "list", _) => refusal(401, "Unauthorized"),
        ("daemonsets", "list", _) => refusal(429, "TooManyRequests"),
        ("jobs", "list", _) => refusal(500, "InternalError"),
        ("cronjobs", "list", _) => Some((200, "{\"items\": [{\"metadata\": ".to_owned())),
        ("serviceaccounts", "list", _) => Some((200, "<html>a proxy</html>".to_owned())),
        ("replicasets", "list", _) => None,
        (_, "list", _) => list(&[], "1"),
        _ => None,
    });
    let (findings, states) = when(client, |discovery| {
        let states: Vec<_> = STATES.iter().map(|(resource, _)| state(discovery, resource)).collect();
        let right: Vec<_> = STATES.iter().map(|(_, state)| Some(*state)).collect();
        let found = discovery.findings();
        (states == right && images(discovery) == ["r.test/a:1"]).then_some((found, states))
    })
    .await;
    assert_eq!(states.len(), STATES.len());
    let told: Vec<String> =
        findings.iter().map(|finding| format!("{} {}", finding.code, finding.seen)).collect();
    let place = "of the cluster could not be looked at:";
    for expected in [
        format!("PG0616 deployments {place} 403 Forbidden"),
        format!("PG0616 statefulsets {place} 401 Unauthorized"),
        format!("PG0617 daemonsets {place} 429 TooManyRequests"),
        format!("PG0617 jobs {place} 500 InternalError"),
    ] {
        assert!(told.contains(&expected), "{expected}: {told:#?}");
    }
    assert!(!told.concat().contains("canary"), "a message of the server names users and objects: {told:#?}");
}

const STATES: &[(&str, WatchState)] = &[
    ("pods", WatchState::Live),
    ("deployments", WatchState::Refused),
    ("statefulsets", WatchState::Refused),
    ("daemonsets", WatchState::Failing),
    ("jobs", WatchState::Failing),
    ("cronjobs", WatchState::Failing),
    ("serviceaccounts", WatchState::Failing),
    ("replicasets", WatchState::Starting),
    ("nodes", WatchState::Live),
];
