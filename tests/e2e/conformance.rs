//! The distribution specification 1.1, pull and content discovery: the checks of its conformance program in read-only
//! mode, case by case, and checks that the program leaves out: bytes, error codes, pages and links.
//!
//! Each case prints one line. The same cases run for every way in which a client can name a registry.

use std::collections::BTreeSet;

use loadtest::digest::Algorithm;
use loadtest::image::{Blob, Image, Index, media};
use loadtest::registry::Registry;
use serde_json::{Value, json};
use support::http::{self, Answer, Request};
use support::{Pullgate, Scratch};

use crate::setup::{self, BIN, REGISTRY};

#[tokio::test]
async fn the_registry_is_written_before_the_repository() {
    conforms(Way { path: "/v2/registry.test/org/data", ns: None }).await;
}

#[tokio::test]
async fn the_registry_is_docker_hub_if_the_request_names_none() {
    conforms(Way { path: "/v2/org/data", ns: None }).await;
}

#[tokio::test]
async fn the_registry_is_in_the_query() {
    conforms(Way { path: "/v2/org/data", ns: Some(REGISTRY) }).await;
}

/// The way in which a client names registry and repository.
#[derive(Clone, Copy)]
struct Way {
    path: &'static str,
    ns: Option<&'static str>,
}

impl Way {
    /// The request target of the resource `rest`, for example `manifests/1` or `tags/list?n=2`.
    fn to(self, rest: &str) -> String {
        let joint = if rest.contains('?') { '&' } else { '?' };
        let ns = self.ns.map(|ns| format!("{joint}ns={ns}")).unwrap_or_default();
        format!("{}/{rest}{ns}", self.path)
    }

    /// The target of a `Link`, which must lead back to pullgate.
    fn linked(self, answer: &Answer) -> Option<Result<String, String>> {
        let link = answer.header("link")?;
        let target = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
        let ours = target.filter(|target| {
            target.starts_with(&format!("{}/", self.path))
                && self.ns.is_none_or(|ns| target.contains(&format!("ns={ns}")))
        });
        Some(ours.map(str::to_owned).ok_or_else(|| link.to_owned()))
    }
}

/// The content of `org/data` at the upstream.
struct Data {
    /// Tags, and the manifest of each.
    tagged: Vec<(&'static str, Blob)>,
    untagged: Vec<Blob>,
    blobs: Vec<Blob>,
    subject: Blob,
}

const SIGNATURE: &str = "application/vnd.test.signature";
const REPORT: &str = "application/vnd.test.report";

impl Data {
    /// Makes each kind of content that the conformance program pushes.
    fn new() -> Self {
        let image = Image::with_layers(51, &[100, 70_000]);
        let docker = Image::builder(52).layer_of(100).docker().finish();
        let long = Image::builder(53).layer_of(100).sha512().finish();
        let index = Index::oci(vec![image.clone(), Image::builder(54).platform("linux", "arm64").finish()]);
        let missing = Image::with_layers(55, &[10]).manifest.descriptor();
        let referrers = [(56, SIGNATURE), (57, REPORT), (58, REPORT)].map(|(seed, kind)| {
            let referrer = Image::builder(seed).artifact(kind).subject(&image.manifest);
            referrer.annotation("seed", &seed.to_string()).finish()
        });
        let (inline, inline_blobs) = inline();
        let untagged: Vec<_> =
            index.images.iter().chain(&referrers).map(|image| image.manifest.clone()).collect();
        let images = [&image, &docker, &long].into_iter().chain(&index.images).chain(&referrers);
        let blobs = images.flat_map(|image| image.blobs().cloned()).chain(inline_blobs).collect();
        let tagged = vec![
            ("data", inline),
            ("docker", docker.manifest.clone()),
            ("image", image.manifest.clone()),
            ("index", index.manifest.clone()),
            ("nested", index_of(&[index.manifest.descriptor()])),
            ("sha512", long.manifest.clone()),
            ("sparse", index_of(&[image.manifest.descriptor(), missing])),
        ];
        Self { tagged, untagged, blobs, subject: image.manifest.clone() }
    }

    fn is_in(&self, upstream: &Registry) {
        for (tag, manifest) in &self.tagged {
            upstream.add_manifest("org/data", manifest);
            upstream.set_tag("org/data", tag, &manifest.digest);
        }
        self.untagged.iter().for_each(|manifest| upstream.add_manifest("org/data", manifest));
        self.blobs.iter().for_each(|blob| upstream.add_blob_as("org/data", &blob.digest, blob.bytes.clone()));
    }
}

/// An index with unknown fields, and with spaces and line breaks, which are part of its bytes.
fn index_of(manifests: &[Value]) -> Blob {
    let document = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": manifests,
        "unknown field": [1.5, {}] });
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    Blob::new(media::OCI_INDEX, text, Algorithm::Sha256)
}

/// A manifest that contains its config inline and has an empty layer, and its blobs.
fn inline() -> (Blob, [Blob; 2]) {
    let config = Blob::new(media::OCI_EMPTY, "{}", Algorithm::Sha256);
    let layer = Blob::new(media::OCTETS, "", Algorithm::Sha256);
    let mut descriptor = config.descriptor();
    descriptor["data"] = json!("e30=");
    let document = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "artifactType": REPORT,
        "config": descriptor, "layers": [layer.descriptor()] });
    (Blob::new(media::OCI_MANIFEST, document.to_string(), Algorithm::Sha256), [config, layer])
}

/// One run of all cases.
struct Run {
    upstream: Registry,
    pullgate: Pullgate,
    way: Way,
    failures: Vec<String>,
    cases: usize,
    _scratch: Scratch,
}

async fn conforms(way: Way) {
    let (scratch, upstream, data) = (Scratch::new(), Registry::start().await.unwrap(), Data::new());
    data.is_in(&upstream);
    let config = setup::config(&scratch)
        + &setup::upstream("test", REGISTRY, &upstream.url())
        + &setup::upstream("hub", "docker.io", &upstream.url());
    let pullgate = Pullgate::start(BIN, &scratch, &config).await;
    let mut run = Run { upstream, pullgate, way, failures: Vec::new(), cases: 0, _scratch: scratch };
    run.ping().await;
    run.tags(&data).await;
    for round in ["cold", "warm"] {
        run.manifests(round, &data).await;
        run.blobs(round, &data).await;
    }
    run.absent().await;
    run.malformed().await;
    run.referrers(&data).await;
    run.without_referrers(&data).await;
    run.writes().await;
    println!("{} cases by {}, {} failed", run.cases, run.way.to(""), run.failures.len());
    assert!(run.failures.is_empty(), "{:#?}", run.failures);
}

impl Run {
    fn get(&self, rest: &str) -> Request {
        self.pullgate.get(&self.way.to(rest))
    }

    fn head(&self, rest: &str) -> Request {
        self.pullgate.head(&self.way.to(rest))
    }

    /// Records one case: its name, the answer, and true if the answer is right.
    fn case(&mut self, name: &str, answer: &Answer, right: bool) {
        self.cases += 1;
        let verdict = if right && answer.is_whole() { "pass" } else { "FAIL" };
        println!("{verdict}  {name}: {}", answer.status.as_u16());
        if verdict == "FAIL" {
            self.failures.push(format!(
                "{name}: {} {:?} {:.500}",
                answer.status,
                answer.headers,
                answer.text()
            ));
        }
    }

    async fn ping(&mut self) {
        for (name, request) in [("GET", self.pullgate.get("/v2/")), ("HEAD", self.pullgate.head("/v2/"))] {
            let answer = request.send().await;
            let right = answer.status == 200 && answer.header("www-authenticate").is_none();
            self.case(&format!("ping, {name}"), &answer, right);
        }
        for (registry, served) in [(REGISTRY, Some(REGISTRY)), ("elsewhere.test", None)] {
            let answer = self.pullgate.get(&format!("/v2/?ns={registry}")).send().await;
            let right = answer.status == 200 && answer.header("oci-namespace") == served;
            self.case(&format!("ping about {registry}"), &answer, right);
        }
    }

    async fn tags(&mut self, data: &Data) {
        let all: Vec<&str> = data.tagged.iter().map(|(tag, _)| *tag).collect();
        let cases = [
            ("all tags, in order", "tags/list", &all[..], false),
            ("no tags, no link", "tags/list?n=0", &[][..], false),
            ("n as large as the list", "tags/list?n=7", &all[..], false),
            ("n larger than the list", "tags/list?n=100", &all[..], false),
            ("a page, with a link", "tags/list?n=3", &all[..3], true),
            ("after last, without last itself", "tags/list?last=image", &all[3..], false),
            ("after a last that is not a tag of the repository", "tags/list?last=imagf", &all[3..], false),
            ("a page after last", "tags/list?n=2&last=docker", &all[2..4], true),
            ("the last page", "tags/list?n=2&last=nested", &all[5..], false),
            ("after the last tag", "tags/list?last=sparse", &[][..], false),
        ];
        for (name, rest, tags, more) in cases {
            let answer = self.get(rest).send().await;
            let linked = self.way.linked(&answer);
            let right = answer.status == 200
                && answer.json() == json!({ "name": "org/data", "tags": tags })
                && if more { matches!(linked, Some(Ok(_))) } else { linked.is_none() };
            self.case(&format!("tags: {name}"), &answer, right);
        }
        let (mut target, mut seen) = (self.way.to("tags/list?n=2"), Vec::new());
        let answer = loop {
            let answer = self.pullgate.get(&target).send().await;
            seen.extend(listed(&answer));
            match self.way.linked(&answer) {
                Some(Ok(next)) if seen.len() <= all.len() => target = next,
                _ => break answer,
            }
        };
        self.case("tags: page by page to the end", &answer, seen == all);
    }

    async fn manifests(&mut self, round: &str, data: &Data) {
        let by_tag = data.tagged.iter().map(|(tag, manifest)| (*tag, manifest));
        let tagged = data.tagged.iter().map(|(_, manifest)| manifest);
        let by_digest = tagged.chain(&data.untagged).map(|manifest| (&*manifest.digest, manifest));
        for (reference, manifest) in by_tag.chain(by_digest) {
            let rest = format!("manifests/{reference}");
            let (head, get) = (self.head(&rest).send().await, self.get(&rest).send().await);
            let name = |verb| format!("manifest, {round}, {verb} {reference:.20}");
            let right = is_content(&head, manifest) && head.body.is_empty();
            self.case(&name("HEAD"), &head, right);
            self.case(&name("GET"), &get, is_content(&get, manifest) && get.body == manifest.bytes);
        }
    }

    async fn blobs(&mut self, round: &str, data: &Data) {
        for blob in &data.blobs {
            let rest = format!("blobs/{}", blob.digest);
            let (head, get) = (self.head(&rest).send().await, self.get(&rest).send().await);
            let name =
                |verb| format!("blob, {round}, {verb} {:.20}, {} bytes", blob.digest, blob.bytes.len());
            let octets = Blob { media_type: media::OCTETS.to_owned(), ..blob.clone() };
            let right = is_content(&head, &octets) && head.body.is_empty();
            self.case(&name("HEAD"), &head, right);
            self.case(&name("GET"), &get, is_content(&get, &octets) && get.body == blob.bytes);
        }
    }

    async fn absent(&mut self) {
        let random =
            [Algorithm::Sha256, Algorithm::Sha512].map(|algorithm| algorithm.digest(b"never pushed"));
        let cases = [
            (format!("manifests/{}", random[0]), "MANIFEST_UNKNOWN"),
            (format!("manifests/{}", random[1]), "MANIFEST_UNKNOWN"),
            ("manifests/never-pushed".to_owned(), "MANIFEST_UNKNOWN"),
            (format!("blobs/{}", random[0]), "BLOB_UNKNOWN"),
            (format!("blobs/{}", random[1]), "BLOB_UNKNOWN"),
        ];
        for (rest, code) in cases {
            let (head, get) = (self.head(&rest).send().await, self.get(&rest).send().await);
            self.case(&format!("absent, HEAD {rest:.40}"), &head, head.status == 404 && head.body.is_empty());
            self.case(&format!("absent, GET {rest:.40}"), &get, is_error(&get, 404, code));
        }
        let elsewhere = Way {
            path: if self.way.path.contains(REGISTRY) {
                "/v2/registry.test/org/none"
            } else {
                "/v2/org/none"
            },
            ..self.way
        };
        let answer = self.pullgate.get(&elsewhere.to("tags/list")).send().await;
        self.case("absent, tags of an unknown repository", &answer, is_error(&answer, 404, "NAME_UNKNOWN"));
    }

    async fn malformed(&mut self) {
        for (rest, code) in [
            ("manifests/sha256:baddigeststring", "DIGEST_INVALID"),
            ("blobs/sha256:baddigeststring", "DIGEST_INVALID"),
            ("blobs/md5:d41d8cd98f00b204e9800998ecf8427e", "DIGEST_INVALID"),
            ("referrers/sha256:baddigeststring", "DIGEST_INVALID"),
            ("manifests/.bad-tag", "TAG_INVALID"),
            ("tags/list?n=many", "PAGINATION_NUMBER_INVALID"),
        ] {
            let (head, get) = (self.head(rest).send().await, self.get(rest).send().await);
            self.case(&format!("malformed, HEAD {rest}"), &head, head.status == 400 && head.body.is_empty());
            self.case(&format!("malformed, GET {rest}"), &get, is_error(&get, 400, code));
        }
    }

    async fn referrers(&mut self, data: &Data) {
        let subject = &data.subject.digest;
        let random = Algorithm::Sha256.digest(b"never pushed");
        let of_type = |kind: &str| format!("referrers/{subject}?artifactType={kind}");
        for (name, rest, count, filtered) in [
            ("of a subject", format!("referrers/{subject}"), 3, false),
            ("of one type", of_type(REPORT), 2, true),
            ("of another type", of_type(SIGNATURE), 1, true),
            ("of a type that no referrer has", of_type("application/none"), 0, true),
            ("of a random digest", format!("referrers/{random}"), 0, false),
        ] {
            let answer = self.get(&rest).send().await;
            let right = is_index(&answer, count)
                && answer.header("oci-filters-applied") == filtered.then_some("artifactType");
            self.case(&format!("referrers: {name}"), &answer, right);
        }
        self.upstream.page_referrers(1);
        for (name, rest, count) in
            [("page by page", format!("referrers/{subject}"), 3), ("pages of one type", of_type(REPORT), 2)]
        {
            let (mut target, mut seen) = (self.way.to(&rest), BTreeSet::new());
            let mut pages = 1;
            let answer = loop {
                let answer = self.pullgate.get(&target).send().await;
                let digests = answer.json()["manifests"].as_array().unwrap().clone();
                seen.extend(digests.iter().map(|descriptor| descriptor["digest"].to_string()));
                match self.way.linked(&answer) {
                    Some(Ok(next)) if pages < 10 => target = next,
                    _ => break answer,
                }
                pages += 1;
            };
            let right = (pages, seen.len()) == (count, count) && is_index(&answer, 1);
            self.case(&format!("referrers: {name}"), &answer, right);
        }
    }

    /// After a 404 clients request the fallback tag, which must exist.
    async fn without_referrers(&mut self, data: &Data) {
        self.upstream.serve_referrers(false);
        let answer = self.get(&format!("referrers/{}", data.subject.digest)).send().await;
        self.case("referrers: an upstream without the API", &answer, answer.status == 404);
        let document = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX,
            "manifests": [data.untagged.last().unwrap().descriptor()] });
        let fallback = Blob::new(media::OCI_INDEX, document.to_string(), Algorithm::Sha256);
        let tag = data.subject.digest.replace(':', "-");
        self.upstream.add_manifest("org/data", &fallback);
        self.upstream.set_tag("org/data", &tag, &fallback.digest);
        let answer = self.get(&format!("manifests/{tag}")).send().await;
        self.case("referrers: the fallback tag", &answer, is_content(&answer, &fallback));
    }

    async fn writes(&mut self) {
        let digest = Algorithm::Sha256.digest(b"never pushed");
        for (method, rest) in [
            ("POST", "blobs/uploads/".to_owned()),
            ("POST", format!("blobs/uploads/?mount={digest}&from=org/other")),
            ("PATCH", "blobs/uploads/1".to_owned()),
            ("PUT", format!("blobs/uploads/1?digest={digest}")),
            ("PUT", "manifests/image".to_owned()),
            ("DELETE", "manifests/image".to_owned()),
            ("DELETE", format!("blobs/{digest}")),
        ] {
            let method = method.parse().unwrap();
            let name = format!("not offered: {method} {rest:.30}");
            let answer = http::request(method, self.pullgate.proxy(), &self.way.to(&rest)).send().await;
            self.case(&name, &answer, is_error(&answer, 405, "UNSUPPORTED"));
        }
    }
}

fn listed(answer: &Answer) -> Vec<String> {
    let document = answer.json();
    document["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

/// True for a 200 whose headers describe `content` exactly.
fn is_content(answer: &Answer, content: &Blob) -> bool {
    answer.status == 200
        && answer.header("content-type") == Some(&content.media_type)
        && answer.header("content-length") == Some(&*content.bytes.len().to_string())
        && answer.header("docker-content-digest") == Some(&content.digest)
}

/// True for this status and an error with this code in the specification's format.
fn is_error(answer: &Answer, status: u16, code: &str) -> bool {
    let error = &answer.json()["errors"][0];
    answer.status == status
        && answer.header("content-type") == Some("application/json")
        && error["code"] == code
        && error["message"].is_string()
}

fn is_index(answer: &Answer, entries: usize) -> bool {
    let document = answer.json();
    answer.status == 200
        && answer.header("content-type") == Some(media::OCI_INDEX)
        && (&document["schemaVersion"], &document["mediaType"]) == (&2.into(), &media::OCI_INDEX.into())
        && document["manifests"].as_array().is_some_and(|manifests| manifests.len() == entries)
}
