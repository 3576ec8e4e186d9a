//! Orders of requests, and the records that come of them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use oci::{Class, Digest, ObjectKind, ObjectOutcome, Reference, Stage};
use registry::Steps;
use tokio::time::Instant;

use super::named::{Named, Names};
use super::object::Piece;
use super::outcome::PullOutcome;
use super::puller::{Caller, Puller, Wanted};
use super::pulling::{End, Got, QUIET, QUIET_AFTER_FAILURE};
use super::pulls::Pulls;
use super::record::PullRecord;
use crate::http::outcome::Outcome;
use crate::http::request_id::{REQUEST_ID, RequestIds};

/// A client under a clock, and its pulls.
struct Client<'a> {
    pulls: &'a mut Pulls,
    puller: Puller,
    caller: Caller<'a>,
    began: Instant,
}

impl<'a> Client<'a> {
    fn new(pulls: &'a mut Pulls) -> Self {
        Self::called(pulls, Caller { user_agent: "containerd/2.1", node: b"" })
    }

    fn called(pulls: &'a mut Pulls, caller: Caller<'a>) -> Self {
        Self { pulls, puller: puller(1, caller, "library/alpine"), caller, began: Instant::now() }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.began + Duration::from_secs(seconds)
    }

    fn begins(&mut self, wanted: Wanted<'_>, at: u64) -> Option<u64> {
        let now = self.at(at);
        self.pulls.began(&self.puller, &self.caller, wanted, now)
    }

    fn ends(&mut self, number: u64, end: End, at: u64) -> Option<PullRecord> {
        let now = self.at(at);
        self.pulls.ended(&self.puller, number, end, now)
    }

    /// A whole request of one second.
    fn asks(&mut self, wanted: Wanted<'_>, end: End, at: u64) -> Option<PullRecord> {
        let number = self.begins(wanted, at).expect("a pull");
        self.ends(number, end, at + 1)
    }

    /// A manifest by tag that names `blobs`, from second 0 to second 1.
    fn gets_manifest(&mut self, blobs: &[u8]) {
        let end = self.manifest(100, names(blobs), 0);
        assert_eq!(self.asks(tag("3"), end, 0), None);
    }

    fn gets_blob(&mut self, name: u8, at: u64) -> Option<PullRecord> {
        let end = self.blob(name, ObjectOutcome::Hit, at);
        self.asks(Wanted::Blob(&digest(name)), end, at)
    }

    fn manifest(&self, name: u8, names: Names, at: u64) -> End {
        let piece = Piece { is_manifest: true, ..piece(name, ObjectOutcome::Miss, self.at(at)) };
        let media_type = match names {
            Names::Blobs(_) => "application/vnd.oci.image.manifest.v1+json",
            Names::Manifests(_) => "application/vnd.oci.image.index.v1+json",
        };
        let piece = Piece { media_type: Some(media_type.to_owned()), ..piece };
        End { piece: Some(Box::new(piece)), ..end(PullOutcome::Miss, Got::Names(names)) }
    }

    fn blob(&self, name: u8, outcome: ObjectOutcome, at: u64) -> End {
        let piece = Some(Box::new(piece(name, outcome, self.at(at))));
        End { piece, ..end(PullOutcome::Hit, Got::Blob(digest(name))) }
    }

    fn quiet(&mut self, at: u64) -> Vec<PullRecord> {
        let now = self.at(at);
        self.pulls.quiet(now)
    }
}

fn puller(client: u8, caller: Caller<'_>, repository: &str) -> Puller {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, client));
    Puller::new(address, caller, "docker.io".parse().unwrap(), repository.parse().unwrap())
}

/// A manifest by this tag or digest.
fn tag(name: &str) -> Wanted<'static> {
    let reference: &'static Reference = Box::leak(Box::new(name.parse().unwrap()));
    Wanted::Manifest(reference, SystemTime::UNIX_EPOCH)
}

fn by_digest(name: u8) -> Wanted<'static> {
    let reference: &'static Reference = Box::leak(Box::new(Reference::Digest(digest(name))));
    Wanted::Manifest(reference, SystemTime::UNIX_EPOCH)
}

fn digest(name: u8) -> Digest {
    format!("sha256:{}", format!("{name:02x}").repeat(32)).parse().unwrap()
}

/// The names of an image: the first is the configuration.
fn names(blobs: &[u8]) -> Names {
    let named = |(at, name): (usize, &u8)| Named {
        digest: digest(*name),
        kind: if at == 0 { ObjectKind::Config } else { ObjectKind::Layer },
        media_type: "application/x-blob".into(),
        size: 1000,
    };
    Names::Blobs(blobs.iter().enumerate().map(named).collect())
}

fn index(children: &[u8]) -> Names {
    Names::Manifests(children.iter().copied().map(digest).collect())
}

/// A request of one second whose first byte came after 400 ms.
fn piece(name: u8, outcome: ObjectOutcome, began: Instant) -> Piece {
    Piece {
        is_manifest: false,
        digest: Some(digest(name)),
        media_type: None,
        size: Some(1000),
        outcome,
        began,
        first_byte: Duration::from_millis(400),
        total: Duration::from_secs(1),
        sent: 1000,
        starved: Duration::ZERO,
        late: Duration::ZERO,
        steps: Steps::default(),
    }
}

fn end(outcome: PullOutcome, got: Got) -> End {
    End { outcome, got, class: None, stage: None, id: None, codes: Vec::new(), piece: None }
}

fn failed() -> End {
    end(PullOutcome::Failed, Got::NoManifest)
}

#[test]
fn a_pull_ends_with_the_last_byte_of_the_last_blob_its_manifest_names() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    client.gets_manifest(&[1, 2]);
    assert_eq!(client.gets_blob(1, 2), None);
    let record = client.gets_blob(2, 39).unwrap();
    assert_eq!((record.outcome, record.requests), (PullOutcome::Miss, 3));
    assert_eq!((record.duration, record.bytes), (Duration::from_secs(40), 3000));
    let kinds: Vec<_> = record.objects.iter().map(|object| object.kind).collect();
    assert_eq!(kinds, [ObjectKind::Manifest, ObjectKind::Config, ObjectKind::Layer]);
    assert_eq!(record.digest, Some(digest(100)));
    assert_eq!(client.quiet(1000), []);
}

#[test]
fn a_record_has_the_id_of_the_request_that_failed_first() {
    let ids = RequestIds::new();
    let id = |text: &str| Some(ids.of(&HeaderMap::from_iter([(REQUEST_ID, text.parse().unwrap())])));
    let failed = |text| End { class: Some(Class::Dns), id: id(text), ..failed() };
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    let steps =
        [End { id: id("first"), ..end(PullOutcome::Miss, Got::Nothing) }, failed("second"), failed("third")];
    for (at, end) in steps.into_iter().enumerate() {
        assert_eq!(client.asks(tag("3"), end, at as u64), None);
    }
    assert_eq!(client.quiet(1000)[0].request_id, id("second"));
}

#[test]
fn layers_that_the_node_has_are_listed_as_not_asked_and_the_silence_is_not_counted() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    client.gets_manifest(&[1, 2]);
    assert_eq!(client.gets_blob(1, 2), None);
    assert_eq!(client.quiet(12), []);
    let records = client.quiet(13);
    assert_eq!((records.len(), records[0].duration), (1, Duration::from_secs(3)));
    let layer = &records[0].objects[2];
    assert_eq!(
        (layer.outcome, layer.kind, layer.size),
        (ObjectOutcome::NotAsked, ObjectKind::Layer, Some(1000))
    );
    assert_eq!((layer.sent, layer.digest.clone()), (0, Some(digest(2))));
}

#[test]
fn a_long_transfer_is_not_silence() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    client.gets_manifest(&[1]);
    let number = client.begins(Wanted::Blob(&digest(1)), 2).unwrap();
    assert_eq!(client.quiet(3600), []);
    let whole = end(PullOutcome::Joined, Got::Blob(digest(1)));
    assert!(client.ends(number, whole, 3601).is_some());
}

#[test]
fn the_worst_request_names_the_pull() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    client.gets_manifest(&[1]);
    for outcome in [PullOutcome::Failed, PullOutcome::Hit] {
        assert_eq!(client.asks(Wanted::Blob(&digest(1)), end(outcome, Got::Nothing), 2), None);
    }
    assert_eq!(client.quiet(13)[0].outcome, PullOutcome::Failed);
}

#[test]
fn what_a_client_asks_after_a_failed_manifest_is_of_the_same_pull_and_its_end_comes_soon() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    assert_eq!(client.asks(tag("3"), failed(), 0), None);
    // The node asked the registry itself what the tag means, and comes back with the digest.
    assert_eq!(client.asks(by_digest(7), failed(), 1), None);
    assert_eq!(client.asks(Wanted::Blob(&digest(1)), end(PullOutcome::Failed, Got::Nothing), 1), None);
    let soon = 2 + QUIET_AFTER_FAILURE.as_secs();
    let records = client.quiet(soon);
    assert_eq!((records.len(), records[0].requests, records[0].outcome), (1, 3, PullOutcome::Failed));
}

#[test]
fn a_failure_that_the_client_gets_over_does_not_end_its_pull() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    assert_eq!(client.asks(tag("3"), failed(), 0), None);
    client.gets_manifest(&[1]);
    let record = client.gets_blob(1, 2).unwrap();
    assert_eq!((record.outcome, record.requests), (PullOutcome::Failed, 3));
}

#[test]
fn each_check_of_a_tag_is_a_pull_of_its_own() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    for at in [0, 4, 8, 12] {
        assert_eq!(client.does(Ask::HeadTag(52), at), None);
    }
    assert_eq!(client.quiet(14).len(), 1);
    assert_eq!(client.quiet(100).len(), 3);
}

#[test]
fn clients_nodes_and_repositories_are_told_apart() {
    let mut pulls = Pulls::default();
    let now = Instant::now();
    let callers =
        [("containerd/2.1", ""), ("skopeo/1", ""), ("containerd/2.1", "a"), ("containerd/2.1", "b")];
    for (user_agent, node) in callers {
        for (client, repository) in [(1, "a"), (2, "a"), (1, "b")] {
            let caller = Caller { user_agent, node: node.as_bytes() };
            let puller = puller(client, caller, repository);
            let number = pulls.began(&puller, &caller, tag("3"), now).unwrap();
            pulls.ended(&puller, number, end(PullOutcome::Hit, Got::Nothing), now);
        }
    }
    assert_eq!(pulls.quiet(now + QUIET).len(), 12);
}

#[test]
fn two_tags_of_one_repository_at_once_are_two_pulls() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    let (first, second) = (client.begins(tag("1"), 0).unwrap(), client.begins(tag("2"), 0).unwrap());
    let (one, two) = (client.manifest(101, names(&[1, 9]), 0), client.manifest(102, names(&[2, 9]), 0));
    assert_eq!(client.ends(second, two, 1), None);
    assert_eq!(client.ends(first, one, 1), None);
    // Each blob goes to the pull whose manifest names it; the shared one is asked for twice.
    assert_eq!(client.gets_blob(1, 2), None);
    assert_eq!(client.gets_blob(2, 2), None);
    let records = [client.gets_blob(9, 3).unwrap(), client.gets_blob(9, 4).unwrap()];
    let tags: Vec<String> = records.iter().map(|record| record.image.reference.to_string()).collect();
    assert_eq!(tags, ["2", "1"]);
    assert!(records.iter().all(|record| record.requests == 3 && record.bytes == 3000));
}

#[test]
fn the_steps_of_an_index_are_one_pull() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    let head = Piece { is_manifest: true, sent: 0, ..piece(50, ObjectOutcome::Miss, client.at(0)) };
    let head = End { piece: Some(Box::new(head)), ..end(PullOutcome::Miss, Got::Nothing) };
    assert_eq!(client.asks(tag("3"), head, 0), None);
    let list = client.manifest(50, index(&[51, 52]), 1);
    assert_eq!(client.asks(by_digest(50), list, 1), None);
    let manifest = client.manifest(52, names(&[1]), 2);
    assert_eq!(client.asks(by_digest(52), manifest, 2), None);
    let record = client.gets_blob(1, 3).unwrap();
    let kinds: Vec<_> = record.objects.iter().map(|object| object.kind).collect();
    assert_eq!(kinds, [ObjectKind::Index, ObjectKind::Manifest, ObjectKind::Config]);
    assert_eq!((record.requests, record.digest), (4, Some(digest(50))));
}

/// A request of a sequence, as its client makes it.
#[derive(Clone, Copy)]
enum Ask {
    /// HEAD of the tag, which means an index or a manifest.
    HeadTag(u8),
    /// GET of the tag.
    GetTag(u8),
    /// GET by digest.
    GetDigest(u8),
    /// GET of a whole blob.
    Blob(u8),
    /// GET of a range of a blob.
    Range(u8),
}

/// The manifest with this name: 50 is an index of 52, 52 an image of configuration 1 and layers 2 and 3.
fn named(name: u8) -> Names {
    if name == 50 { index(&[51, 52]) } else { names(&[1, 2, 3]) }
}

impl Client<'_> {
    fn does(&mut self, ask: Ask, at: u64) -> Option<PullRecord> {
        match ask {
            Ask::HeadTag(name) => {
                let mut head = self.manifest(name, named(name), at);
                head.got = Got::Nothing;
                head.piece.as_mut().unwrap().sent = 0;
                self.asks(tag("3"), head, at)
            }
            Ask::GetTag(name) => {
                let end = self.manifest(name, named(name), at);
                self.asks(tag("3"), end, at)
            }
            Ask::GetDigest(name) => {
                let end = self.manifest(name, named(name), at);
                self.asks(by_digest(name), end, at)
            }
            Ask::Blob(name) => self.gets_blob(name, at),
            Ask::Range(name) => {
                let mut end = self.blob(name, ObjectOutcome::Hit, at);
                end.got = Got::Nothing;
                self.asks(Wanted::Blob(&digest(name)), end, at)
            }
        }
    }
}

#[test]
fn the_orders_in_which_clients_ask_are_one_pull_each() {
    use Ask::{Blob, GetDigest, GetTag, HeadTag, Range};
    let orders: [(&str, &[Ask], usize); 9] = [
        ("ctr", &[HeadTag(50), GetDigest(50), GetDigest(52), Blob(3), Blob(1), Blob(2)], 5),
        ("ctr, one platform", &[HeadTag(52), GetDigest(52), Blob(1), Blob(2), Blob(3)], 4),
        ("containerd 2, ranges", &[HeadTag(52), GetDigest(52), Blob(1), Range(2), Range(2), Range(3)], 4),
        ("CRI, some layers there", &[HeadTag(50), GetDigest(50), GetDigest(52), Blob(1), Blob(2)], 5),
        ("kubelet, Always", &[HeadTag(50)], 1),
        ("skopeo, podman, CRI-O", &[GetTag(50), GetDigest(52), Blob(2), Blob(3), Blob(1)], 5),
        ("crane", &[GetTag(52), Blob(1), Blob(2), Blob(3)], 4),
        ("BuildKit", &[HeadTag(50), GetDigest(50), GetDigest(52), Blob(1), Blob(3), Blob(2)], 5),
        ("by digest", &[GetDigest(52), Blob(1), Blob(2), Blob(3)], 4),
    ];
    for (client_name, asks, objects) in orders {
        let mut pulls = Pulls::default();
        let mut client = Client::new(&mut pulls);
        let mut records: Vec<PullRecord> =
            (0..).zip(asks).filter_map(|(at, ask)| client.does(*ask, at)).collect();
        records.extend(client.quiet(1000));
        assert_eq!(records.len(), 1, "{client_name}");
        let record = &records[0];
        assert_eq!((record.requests, record.objects.len()), (asks.len() as u64, objects), "{client_name}");
        assert!(record.objects.iter().all(|object| object.kind != ObjectKind::Other), "{client_name}");
    }
}

#[test]
fn another_digest_while_a_tag_is_pulled_is_a_pull_of_its_own() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    client.gets_manifest(&[1]);
    let other = client.manifest(60, names(&[2]), 1);
    assert_eq!(client.asks(by_digest(60), other, 1), None);
    assert_eq!(client.gets_blob(2, 2).unwrap().image.reference, Reference::Digest(digest(60)));
    assert_eq!(client.gets_blob(1, 3).unwrap().image.reference.to_string(), "3");
}

#[test]
fn the_requests_for_one_object_are_added_up() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    client.gets_manifest(&[1]);
    let mut broken = client.blob(1, ObjectOutcome::Failed, 2);
    broken.got = Got::Nothing;
    let piece = broken.piece.as_mut().unwrap();
    piece.steps.timings.add(Stage::BlobFirstByte, Duration::from_millis(300));
    (piece.steps.received, piece.steps.resumes) = (700, 1);
    broken.codes = vec![(206, 2)];
    assert_eq!(client.asks(Wanted::Blob(&digest(1)), broken, 2), None);
    let record = client.gets_blob(1, 4).unwrap();
    let blob = &record.objects[1];
    assert_eq!((blob.outcome, blob.sent, blob.fetched, blob.resumes), (ObjectOutcome::Hit, 2000, 700, 1));
    assert_eq!((blob.began, blob.first_byte), (Duration::from_secs(2), Duration::from_millis(400)));
    assert_eq!(blob.transfer, Duration::from_millis(2600));
    assert_eq!(blob.timings.of(Stage::BlobFirstByte), Some(Duration::from_millis(300)));
    assert_eq!(record.codes, [(206, 2)]);
}

#[test]
fn a_follower_waits_for_the_fill_and_ranges_side_by_side_wait_once() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    client.gets_manifest(&[1]);
    let numbers = [(); 3].map(|()| client.begins(Wanted::Blob(&digest(1)), 2).unwrap());
    for number in numbers {
        let mut joined = client.blob(1, ObjectOutcome::Joined, 2);
        joined.got = Got::Nothing;
        joined.piece.as_mut().unwrap().starved = Duration::from_millis(350);
        assert_eq!(client.ends(number, joined, 3), None);
    }
    let record = client.quiet(13).remove(0);
    assert_eq!(record.objects[1].fill_wait, Duration::from_millis(750));
}

/// The time between the upstream's last byte and the client's is the check's only where the client waited for it.
#[test]
fn the_check_of_the_hash_takes_the_time_that_the_client_waits_for_it() {
    // In milliseconds after the request: the first byte to the client, the upstream's last byte; then the client's wait
    // for bytes after that, and the time of the check. The client's last byte comes after a second.
    for (first_byte, ended, late, expected) in [
        (400, 1000, 0, 0),
        (400, 700, 0, 0),
        (400, 700, 250, 250),
        (900, 700, 0, 200),
        (900, 700, 50, 250),
        (400, 1200, 50, 0),
    ] {
        let mut pulls = Pulls::default();
        let mut client = Client::new(&mut pulls);
        client.gets_manifest(&[1]);
        let ms = Duration::from_millis;
        let mut got = client.blob(1, ObjectOutcome::Miss, 2);
        let piece = got.piece.as_mut().unwrap();
        (piece.first_byte, piece.starved, piece.late) = (ms(first_byte), ms(300), ms(late));
        piece.steps.body_ended = Some(client.at(2) + ms(ended));
        let record = client.asks(Wanted::Blob(&digest(1)), got, 2).unwrap();
        assert_eq!(record.objects[1].verify, ms(expected), "{first_byte} {ended} {late}");
    }
}

#[test]
fn a_blob_alone_is_no_pull() {
    let mut pulls = Pulls::default();
    assert_eq!(Client::new(&mut pulls).begins(Wanted::Blob(&digest(1)), 0), None);
}

#[test]
fn what_begins_while_too_many_are_open_is_not_followed() {
    let mut pulls = Pulls::default();
    let now = Instant::now();
    let caller = |number: usize| format!("agent-{number}");
    for number in 0..4096 {
        let agent = caller(number);
        let caller = Caller { user_agent: &agent, node: b"" };
        assert!(pulls.began(&puller(1, caller, "a"), &caller, tag("3"), now).is_some());
    }
    let more = Caller { user_agent: "more", node: b"" };
    assert_eq!(pulls.began(&puller(1, more, "a"), &more, tag("3"), now), None);
    let first = caller(0);
    let first = Caller { user_agent: &first, node: b"" };
    let wanted = Wanted::Blob(&digest(1));
    assert!(pulls.began(&puller(1, first, "a"), &first, wanted, now).is_some(), "open pulls go on");
    assert_eq!(pulls.all().len(), 4096);
    assert!(pulls.began(&puller(1, more, "a"), &more, tag("3"), now).is_some());
}

#[test]
fn objects_without_end_are_counted_and_not_kept() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    client.gets_manifest(&[1]);
    for number in 0_u32..2000 {
        let hex = format!("sha256:{number:064x}");
        let odd: Digest = hex.parse().unwrap();
        let mut end = client.blob(2, ObjectOutcome::Hit, 2);
        end.got = Got::Blob(odd.clone());
        end.piece.as_mut().unwrap().digest = Some(odd.clone());
        assert_eq!(client.asks(Wanted::Blob(&odd), end, 2), None);
    }
    let record = client.quiet(20).remove(0);
    assert!(record.objects.len() <= 513 && record.left_out >= 1488, "{}", record.objects.len());
    assert_eq!(record.bytes, 2_001_000);
}

#[test]
fn all_open_pulls_together_hold_a_bounded_number_of_objects_and_names() {
    let (mut pulls, blobs) = (Pulls::default(), names(&[7; 400]));
    let now = Instant::now();
    let callers: Vec<String> = (0..300).map(|number| format!("agent-{number}")).collect();
    for agent in &callers {
        let caller = Caller { user_agent: agent, node: b"" };
        let puller = puller(1, caller, "a");
        let number = pulls.began(&puller, &caller, tag("3"), now).unwrap();
        let piece = Piece { is_manifest: true, ..piece(7, ObjectOutcome::Miss, now) };
        let piece = Some(Box::new(piece));
        let end = End { piece, ..end(PullOutcome::Miss, Got::Names(blobs.clone())) };
        assert_eq!(pulls.ended(&puller, number, end, now), None);
    }
    let records = pulls.all();
    let with_names = records.iter().filter(|record| record.objects.len() > 1).count();
    assert_eq!((records.len(), with_names), (300, 65_536 / 401));
    // What ended gives its room back.
    let caller = Caller { user_agent: "later", node: b"" };
    let puller = puller(1, caller, "a");
    let number = pulls.began(&puller, &caller, tag("3"), now).unwrap();
    pulls.ended(&puller, number, end(PullOutcome::Miss, Got::Names(blobs)), now);
    assert_eq!(pulls.all()[0].objects.len(), 1, "a blob that is named twice is one object");
}

#[test]
fn long_names_are_cut() {
    let (mut pulls, agent, node) = (Pulls::default(), "\u{e9}".repeat(40_000), vec![b'n'; 1 << 20]);
    let mut client = Client::called(&mut pulls, Caller { user_agent: &agent, node: &node });
    client.gets_manifest(&[1]);
    let record = client.gets_blob(1, 2).unwrap();
    assert_eq!((record.user_agent.len(), record.node.len()), (256, 253));
}

#[test]
fn a_challenge_that_is_met_leaves_no_mark_on_the_pull() {
    let mut pulls = Pulls::default();
    let mut client = Client::new(&mut pulls);
    let challenged = || end(PullOutcome::of(Outcome::Refused, 401), Got::Nothing);
    for end in [challenged(), end(PullOutcome::Miss, Got::Nothing)] {
        assert_eq!(client.asks(tag("3"), end, 0), None);
    }
    assert_eq!(client.quiet(11)[0].outcome, PullOutcome::Miss);
    assert_eq!(client.asks(tag("3"), challenged(), 20), None);
    assert_eq!(client.quiet(31)[0].outcome, PullOutcome::Challenged);
}

#[test]
fn the_upstream_s_own_no_is_absent_and_not_a_miss() {
    assert_eq!(PullOutcome::of(Outcome::Miss, 404), PullOutcome::Absent);
    assert_eq!(PullOutcome::of(Outcome::Miss, 200), PullOutcome::Miss);
}

#[test]
fn names_are_read_from_both_kinds_of_manifest() {
    let digest = digest(1);
    let child = format!(r#"{{"mediaType":"x/y","digest":"{digest}","size":7}}"#);
    let image = format!(r#"{{"schemaVersion":2,"config":{child},"layers":[{child}]}}"#);
    let Some(Names::Blobs(blobs)) = Names::of("application/vnd.oci.image.manifest.v1+json", image.as_bytes())
    else {
        panic!("an image names blobs")
    };
    let kinds: Vec<_> = blobs.iter().map(|named| (named.kind, named.size)).collect();
    assert_eq!(kinds, [(ObjectKind::Config, 7), (ObjectKind::Layer, 7)]);
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{child}]}}"#);
    let names = Names::of("application/vnd.oci.image.index.v1+json", index.as_bytes());
    assert_eq!(names, Some(Names::Manifests(Arc::from([digest]))));
}
