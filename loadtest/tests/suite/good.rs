//! Without rules the registry behaves correctly.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use loadtest::{
    image::{Image, Index, media},
    registry::{Access, Quota, Registry, Tokens},
};

use crate::client::{get, head, layer_path, request, with_image};

#[tokio::test]
async fn manifests_by_tag_and_digest_with_all_headers() {
    let (registry, image) = with_image().await;
    for reference in ["1", image.digest()] {
        let path = format!("/v2/library/app/manifests/{reference}");
        let (whole, bare) = (get(&registry, &path).await, head(&registry, &path).await);
        assert_eq!((whole.status, bare.status), (200, 200));
        assert_eq!(whole.body, image.manifest.bytes);
        assert!(bare.body.is_empty());
        for reply in [whole, bare] {
            assert_eq!(reply.header("docker-content-digest"), Some(image.digest()));
            assert_eq!(reply.header("content-type"), Some(media::OCI_MANIFEST));
            assert_eq!(reply.header("content-length"), Some(image.manifest.bytes.len().to_string().as_str()));
        }
    }
    assert_eq!((registry.log().manifest_gets(), registry.log().manifest_heads()), (2, 2));
}

#[tokio::test]
async fn missing_content_is_404_with_its_own_code() {
    let (registry, image) = with_image().await;
    let digest = &image.manifest.digest;
    for (path, code) in [
        ("/v2/library/app/manifests/2".to_owned(), "MANIFEST_UNKNOWN"),
        ("/v2/library/none/manifests/1".to_owned(), "NAME_UNKNOWN"),
        (format!("/v2/library/app/blobs/{digest}"), "BLOB_UNKNOWN"),
    ] {
        let reply = get(&registry, &path).await;
        assert_eq!((reply.status, reply.json()["errors"][0]["code"].as_str()), (404, Some(code)), "{path}");
    }
    assert_eq!(request(registry.addr(), "PUT", "/v2/library/app/manifests/1", &[]).await.status, 405);
}

#[tokio::test]
async fn a_type_the_client_does_not_accept_is_unknown() {
    let registry = Registry::start().await.unwrap();
    let arm = Image::builder(2).platform("linux", "arm64").layer_of(10).finish();
    registry.add_index("app", "1", &Index::oci(vec![Image::with_layers(1, &[10]), arm]));
    let ask =
        async |accept| request(registry.addr(), "GET", "/v2/app/manifests/1", &[("accept", accept)]).await;
    assert_eq!(ask(media::OCI_MANIFEST).await.status, 404);
    assert_eq!(ask("application/vnd.oci.image.index.v1+json;q=0.5, text/html").await.status, 200);
    assert_eq!(ask("*/*").await.json()["manifests"][1]["platform"]["architecture"], "arm64");
}

#[tokio::test]
async fn blobs_by_range() {
    let (registry, image) = with_image().await;
    let (path, layer) = (layer_path(&image), &image.layers[0].bytes);
    let ask = async |range| request(registry.addr(), "GET", &path, &[("range", range)]).await;

    let middle = ask("bytes=100-199").await;
    assert_eq!((middle.status, &middle.body[..]), (206, &layer[100..200]));
    assert_eq!(middle.header("content-range"), Some(format!("bytes 100-199/{}", layer.len()).as_str()));
    assert_eq!(ask("bytes=-5").await.body, layer[layer.len() - 5..]);
    let beyond = ask("bytes=99999999-").await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), Some(format!("bytes */{}", layer.len()).as_str()));

    let stale =
        request(registry.addr(), "GET", &path, &[("range", "bytes=5-"), ("if-range", "\"other\"")]).await;
    assert_eq!(
        (stale.status, stale.body.len()),
        (200, layer.len()),
        "If-Range with another tag asks for all"
    );
    let sent = registry.log().bytes_sent(&image.layers[0].digest);
    assert_eq!(sent, 100 + 5 + layer.len() as u64);
}

#[tokio::test]
async fn sha512_content_is_served_under_its_digest() {
    let registry = Registry::start().await.unwrap();
    let image = Image::builder(4).sha512().layer_of(100).finish();
    registry.add_image("app", "1", &image);
    let reply = get(&registry, "/v2/app/manifests/1").await;
    assert_eq!(reply.header("docker-content-digest"), Some(image.digest()));
    assert!(image.digest().starts_with("sha512:"));
    let layer = get(&registry, &format!("/v2/app/blobs/{}", image.layers[0].digest)).await;
    assert_eq!(layer.body, image.layers[0].bytes);
}

#[tokio::test]
async fn tags_come_in_pages() {
    let (registry, image) = with_image().await;
    for tag in ["2", "3"] {
        registry.set_tag("library/app", tag, image.digest());
    }
    let first = get(&registry, "/v2/library/app/tags/list?n=2").await;
    assert_eq!(first.json()["tags"], serde_json::json!(["1", "2"]));
    let next = first.header("link").unwrap();
    let next = &next[1..next.find('>').unwrap()];
    let second = get(&registry, next).await;
    assert_eq!((second.json()["tags"].clone(), second.header("link")), (serde_json::json!(["3"]), None));
}

#[tokio::test]
async fn referrers_are_listed_until_switched_off() {
    let (registry, image) = with_image().await;
    let sbom =
        Image::builder(3).artifact("application/spdx+json").subject(&image.manifest).layer_of(9).finish();
    registry.add_untagged("library/app", &sbom);
    let path = format!("/v2/library/app/referrers/{}", image.digest());
    let list = get(&registry, &path).await.json();
    assert_eq!(list["manifests"][0]["digest"], sbom.digest());
    assert_eq!(list["manifests"][0]["artifactType"], "application/spdx+json");
    let filtered = get(&registry, &format!("{path}?artifactType=text%2Fplain")).await;
    assert_eq!(filtered.json()["manifests"], serde_json::json!([]));
    registry.serve_referrers(false);
    assert_eq!(get(&registry, &path).await.status, 404);
}

#[tokio::test]
async fn the_token_dance() {
    let (registry, _) = with_image().await;
    let tokens =
        Tokens::new().user("anna", "secret").private("library/app", "anna").life(Duration::from_secs(60));
    registry.require(Access::Tokens(tokens));
    let (addr, manifest) = (registry.addr(), "/v2/library/app/manifests/1");
    let scope = "/token?service=loadtest&scope=repository:library/app:pull";
    let bearer = |reply: &crate::client::Reply| format!("Bearer {}", reply.json()["token"].as_str().unwrap());

    let challenge = get(&registry, manifest).await;
    assert_eq!(challenge.status, 401);
    let expected = format!(
        "Bearer realm=\"{}/token\",service=\"loadtest\",scope=\"repository:library/app:pull\"",
        registry.url()
    );
    assert_eq!(challenge.header("www-authenticate"), Some(expected.as_str()));

    let anonymous = bearer(&get(&registry, scope).await);
    let refused = request(addr, "GET", manifest, &[("authorization", &anonymous)]).await;
    assert!(refused.header("www-authenticate").unwrap().ends_with("error=\"insufficient_scope\""));

    let login = format!("Basic {}", STANDARD.encode("anna:secret"));
    let reply = request(addr, "GET", scope, &[("authorization", &login)]).await;
    assert_eq!(reply.json()["expires_in"], 60);
    let hers = bearer(&reply);
    assert_eq!(request(addr, "GET", manifest, &[("authorization", &hers)]).await.status, 200);
    registry.revoke_tokens();
    let revoked = request(addr, "GET", manifest, &[("authorization", &hers)]).await;
    assert!(revoked.header("www-authenticate").unwrap().ends_with("error=\"invalid_token\""));

    let wrong = format!("Basic {}", STANDARD.encode("anna:guess"));
    assert_eq!(request(addr, "GET", scope, &[("authorization", &wrong)]).await.status, 401);
    assert_eq!(registry.log().tokens(), 3);
}

#[tokio::test]
async fn tokens_expire_and_the_endpoint_may_refuse() {
    let (registry, _) = with_image().await;
    registry.require(Access::Tokens(Tokens::new().life(Duration::ZERO)));
    let reply = get(&registry, "/token?scope=repository:library/app:pull").await;
    let token = format!("Bearer {}", reply.json()["token"].as_str().unwrap());
    let late =
        request(registry.addr(), "GET", "/v2/library/app/tags/list", &[("authorization", &token)]).await;
    assert_eq!(late.status, 401);

    registry.require(Access::Tokens(Tokens::new().private("library/app", "anna").refuse_at_token(403)));
    assert_eq!(get(&registry, "/token?scope=repository:library/app:pull").await.status, 403);
}

#[tokio::test]
async fn basic_access() {
    let (registry, _) = with_image().await;
    registry.require(Access::Basic { user: "AWS".to_owned(), password: "p".to_owned() });
    let asked = get(&registry, "/v2/").await;
    assert_eq!((asked.status, asked.header("www-authenticate")), (401, Some("Basic realm=\"loadtest\"")));
    let login = format!("Basic {}", STANDARD.encode("AWS:p"));
    assert_eq!(request(registry.addr(), "GET", "/v2/", &[("authorization", &login)]).await.status, 200);
    assert_eq!(registry.log().count(|exchange| exchange.authorized), 1);
}

#[tokio::test]
async fn a_quota_counts_manifest_gets_only() {
    let (registry, image) = with_image().await;
    registry.set_quota(Some(Quota::of(100).remaining(1)));
    let path = "/v2/library/app/manifests/1";
    assert_eq!(head(&registry, path).await.header("ratelimit-remaining"), Some("1;w=21600"));
    assert_eq!(get(&registry, path).await.header("ratelimit-remaining"), Some("0;w=21600"));
    let spent = get(&registry, path).await;
    assert_eq!((spent.status, spent.header("ratelimit-limit")), (429, Some("100;w=21600")));
    assert_eq!(head(&registry, path).await.status, 200, "HEAD is free, and lies");
    assert_eq!(get(&registry, &layer_path(&image)).await.status, 200, "blobs are free");
}
