//! The registry with its three hosts, pullgate in front of it, and the clients.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use loadtest::image::Image;
use loadtest::registry::{Access, Greeting, Host, Registry, Tokens};
use loadtest::tls::{Authority, Certificate};
use support::{Containerd, HostsDir, Pullgate, Release, Scratch, files_of, wait_until};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::Day;
use crate::client::{Pulled, pull};
use crate::report::Part;
use crate::setup::{self, BIN, REGISTRY};
use crate::trouble::Trouble;

/// The registry, pullgate and the clients; they exist for the whole day.
pub(crate) struct World {
    pub(crate) upstream: Registry,
    pub(crate) token_host: Host,
    pub(crate) authority: Authority,
    day: Day,
    images: Arc<Images>,
    pullgate: Pullgate,
    node: Node,
    _scratch: Scratch,
}

/// The images at the registry.
struct Images {
    /// Images that are pulled in the morning and in every later part.
    apps: Vec<Image>,
    /// The image that the first app's tag sometimes points to.
    moved: Image,
    /// Images that no client has pulled yet, one for each part.
    new: HashMap<Trouble, Image>,
}

/// A node with a real containerd that can reach the registry only through pullgate.
struct Node {
    containerd: Containerd,
    hosts: HostsDir,
}

impl World {
    /// Starts everything; no image is pulled yet.
    pub(crate) async fn start(day: Day) -> Self {
        let scratch = Scratch::new();
        let authority = Authority::new();
        let greeting = Greeting::Tls(authority.certificate(&["localhost"]));
        let upstream = Registry::start_with(greeting.clone()).await.unwrap();
        let token_host = upstream.start_host("localhost", greeting.clone()).await.unwrap();
        let realm = format!("{}/token", token_host.url());
        // Tokens expire when tags do, so that each check of a tag needs a new token.
        upstream.require(Access::Tokens(Tokens::new().life(day.tag_max_age()).realm(&realm)));
        upstream.start_cdn("localhost", greeting, Duration::from_secs(60)).await.unwrap();
        let images = Images::publish(&upstream);

        let ca_file = scratch.file("ca.pem", &authority.pem());
        let config = setup::config(&scratch)
            + &format!(
                "[upstreams.test]\nregistry = {REGISTRY:?}\nendpoints = [\"https://localhost:{}\"]\n\
                 addresses = [\"127.0.0.0/8\", \"::1/128\"]\ntoken_hosts = [\"localhost\"]\nca_file = {ca_file:?}\n\
                 tag_max_age = \"{}ms\"\n",
                upstream.port(),
                day.tag_max_age().as_millis(),
            );
        let pullgate = Pullgate::start(BIN, &scratch, &config).await;
        let hosts = HostsDir::new(&scratch);
        hosts.only(REGISTRY, &pullgate.url());
        let containerd = Containerd::start(Release::V2, &scratch).await;
        let node = Node { containerd, hosts };
        let images = Arc::new(images);
        Self { upstream, token_host, authority, day, images, pullgate, node, _scratch: scratch }
    }

    /// Runs one part of the day, and returns its counts.
    pub(crate) async fn live_through(&self, trouble: Trouble) -> Part {
        trouble.begin(self).await;
        self.upstream.clear_log();
        let until = Instant::now() + self.day.part();
        let mut part = Part::new(trouble, self.images.cached(trouble));
        let (over, listening) = watch::channel(());
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(self.client(number).pull_until(listening.clone()));
        }
        drop(listening);
        let mut round = 0;
        while Instant::now() < until {
            // The tag of the first app moves during the day, so that the node pulls only the other apps.
            let pinned = 1 + round % (APPS - 1);
            part.count_node(self.node.pull(pinned, &self.images.apps[pinned]).await);
            if let Some(new) = self.images.new.get(&trouble) {
                part.count_new(pull(self.pullgate.proxy(), &novelty(trouble), &[new]).await);
            }
            sleep_until(until.min(Instant::now() + self.day.rest())).await;
            round += 1;
        }
        drop(over);
        while let Some(pulls) = clients.join_next().await {
            pulls.unwrap().into_iter().for_each(|pulled| part.count(pulled));
        }
        part.look_at(&self.upstream.log());
        trouble.end(self).await;
        part
    }

    /// Waits until every tag points to the registry's current image and images that are not cached can be pulled.
    pub(crate) async fn all_is_as_the_registry_says(&self) {
        let path = format!("/v2/{}/manifests/1?ns={REGISTRY}", app(0));
        wait_until("the moved tag to point to its new image", self.day.part(), || async {
            let head = self.pullgate.head(&path).send().await;
            (head.header("docker-content-digest") == Some(self.images.moved.digest())).then_some(())
        })
        .await;
        for (trouble, image) in &self.images.new {
            let pulled = pull(self.pullgate.proxy(), &novelty(*trouble), &[image]).await;
            assert!(pulled.refused.is_none(), "{:?}", pulled.refused);
        }
    }

    /// Makes the registry present another certificate, and drops its connections, so that every client sees it.
    pub(crate) async fn show(&self, certificate: Certificate) {
        self.upstream.greet(Greeting::Tls(certificate));
        self.upstream.drop_connections().await;
    }

    /// Points the first app's tag to another image.
    pub(crate) fn move_the_tag(&self) {
        self.upstream.add_image(&app(0), "1", &self.images.moved);
    }

    /// Points the tag to its morning image again.
    pub(crate) fn move_the_tag_back(&self) {
        self.upstream.set_tag(&app(0), "1", self.images.apps[0].digest());
    }

    fn client(&self, number: usize) -> Client {
        Client {
            proxy: self.pullgate.proxy().to_owned(),
            images: Arc::clone(&self.images),
            rest: self.day.rest(),
            random: Rng::with_seed(number as u64),
        }
    }
}

impl Images {
    fn publish(upstream: &Registry) -> Self {
        let image = |seed, sizes: &[usize]| {
            sizes.iter().fold(Image::builder(seed), |builder, size| builder.plain_layer_of(*size)).finish()
        };
        let apps: Vec<_> = (0..APPS).map(|number| image(number as u64, SIZES[number])).collect();
        for (number, app_image) in apps.iter().enumerate() {
            upstream.add_image(&app(number), "1", app_image);
        }
        let troubled = Trouble::ALL.into_iter().filter(|trouble| !trouble.classes().is_empty());
        let new: HashMap<_, _> =
            troubled.map(|trouble| (trouble, image(100 + trouble as u64, &[200_000]))).collect();
        for (trouble, image) in &new {
            upstream.add_image(&novelty(*trouble), "1", image);
        }
        Self { apps, moved: image(99, &[400_000]), new }
    }

    /// Digests that only the morning may request upstream.
    fn cached(&self, trouble: Trouble) -> HashSet<String> {
        let images = self.apps.iter().filter(|_| trouble != Trouble::Morning);
        images.flat_map(|image| image.blobs().chain([&image.manifest])).map(|it| it.digest.clone()).collect()
    }
}

impl Node {
    /// Pulls an app onto an empty node; returns containerd's error if that fails. Panics on a wrong file.
    async fn pull(&self, number: usize, image: &Image) -> Result<(), String> {
        let name = format!("{REGISTRY}/{}:1", app(number));
        let pulled = self.containerd.pull(&name, &self.hosts).await;
        if !pulled.succeeded() {
            return Err(pulled.to_string());
        }
        assert_eq!(self.containerd.files(&name).await, files_of(image));
        self.containerd.forget(&name).await;
        Ok(())
    }
}

/// One of the clients that pull all day.
struct Client {
    proxy: String,
    images: Arc<Images>,
    rest: Duration,
    random: Rng,
}

impl Client {
    /// Pulls one app after another, with pauses, until the day is over.
    async fn pull_until(mut self, mut over: watch::Receiver<()>) -> Vec<Pulled> {
        let mut pulls = Vec::new();
        while over.has_changed().is_ok() {
            let number = self.random.usize(..APPS);
            let mut wanted = vec![&self.images.apps[number]];
            wanted.extend((number == 0).then_some(&self.images.moved));
            pulls.push(pull(&self.proxy, &app(number), &wanted).await);
            let rest = self.rest.mul_f64(self.random.f64());
            let _ = timeout(rest, over.changed()).await;
        }
        pulls
    }
}

fn app(number: usize) -> String {
    format!("library/app-{number}")
}

fn novelty(trouble: Trouble) -> String {
    format!("library/new-{}", trouble as usize)
}

/// The number of plain clients, besides the node with containerd.
const CLIENTS: usize = 19;
const APPS: usize = SIZES.len();
/// Layer sizes of each app in bytes: below and above the size that is held back until verified.
const SIZES: &[&[usize]] = &[&[300_000, 20_000], &[5 << 20], &[1000, 1 << 20], &[700_000], &[6 << 20, 5]];
