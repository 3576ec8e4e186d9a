//! One probe: the steps of a node's pull, without counted requests that would show nothing new.

use std::time::Duration;

use oci::manifest::{Child, Kind};
use oci::platform::CONFIG_MAX;
use oci::{Class, Digest, Manifest, Platform, Reference, Stage, Verifier};
use registry::client::{Answer, BlobStream, ByteRange, RawManifest};
use registry::{Client, Error, Evidence, Reason, Timings};
use tokio::time::Instant;

use crate::journal::{Journal, Object};

use crate::learned::{Learned, Proof};
use crate::memory::Memory;
use crate::schedule::Pace;
use crate::seen::Seen;
use crate::target::Target;
use crate::verdict::{Depth, Verdict};

/// One probe of one target.
pub(crate) struct Walk<'a> {
    pub(crate) client: &'a Client,
    pub(crate) target: &'a Target,
    pub(crate) memory: &'a Memory,
    pub(crate) pace: Pace,
    /// The time when the lane began. An earlier proof was made with another configuration: it stays valid, but is
    /// renewed as soon as the budget allows.
    pub(crate) since: Instant,
    /// The time when the probe began, on the schedule's clock (simulated in tests).
    pub(crate) now: Instant,
    /// Other platforms that an index must have.
    pub(crate) also: &'a [Platform],
    /// What is read besides the manifests.
    pub(crate) sample: Sample,
    journal: Journal,
    /// The manifest that was fetched by tag, until it is read.
    fetched: Option<RawManifest>,
}

/// The blobs that a walk reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// The first bytes of the largest layer: what a probe reads.
    Layer,
    /// The headers of the largest layer.
    Headers,
    /// The configuration, and the beginning of the largest layer.
    ConfigAndLayer {
        /// The most bytes that are read of the layer.
        bytes: u64,
        /// The time after which no more bytes are read.
        time: Duration,
    },
    /// The configuration, and every layer, whole.
    Everything,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        client: &'a Client,
        target: &'a Target,
        memory: &'a Memory,
        pace: Pace,
        since: Instant,
        now: Instant,
    ) -> Self {
        let (sample, journal) = (Sample::Layer, Journal::default());
        Self { client, target, memory, pace, since, now, also: &[], sample, journal, fetched: None }
    }

    /// The same walk, which fails if an index lacks one of these platforms, too.
    pub(crate) fn with_platforms(self, also: &'a [Platform]) -> Self {
        Self { also, ..self }
    }

    /// The same walk, which reads other blobs.
    pub(crate) fn reading(self, sample: Sample) -> Self {
        Self { sample, ..self }
    }

    /// Probes, and returns the result and the facts for the next probe.
    pub(crate) async fn run(mut self, mut learned: Learned) -> (Seen, Learned) {
        let walked = self.walk(&mut learned).await;
        let (verdict, retry_after, status) = match walked {
            Ok(depth) => (Verdict::of_success(depth, self.journal.quota.as_ref()), None, None),
            Err(error) => (Verdict::of_error(&error), error.evidence.retry_after, error.evidence.status),
        };
        (Seen { verdict, timings: self.journal.timings(), retry_after, asked: true, status }, learned)
    }

    /// Walks, and returns the result with the journal.
    pub(crate) async fn examine(mut self, learned: &mut Learned) -> (Result<Depth, Error>, Journal) {
        let walked = self.walk(learned).await;
        (walked, self.journal)
    }

    async fn walk(&mut self, learned: &mut Learned) -> Result<Depth, Error> {
        let digest = self.resolve().await?;
        if let Some(digest) = &digest
            && !self.proven(learned.proof.as_ref(), digest)
        {
            self.look_into(digest, learned).await?;
        }
        let current = learned.proof.as_ref().filter(|proof| digest.as_ref() == Some(&proof.digest));
        match current.map(|proof| &proof.found) {
            Some(Ok(Some(layer))) => self.first_bytes(layer).await.map(|()| Depth::Pullable),
            Some(Ok(None)) => Ok(Depth::Pullable),
            Some(Err(error)) => Err(error.clone()),
            None => Ok(Depth::Resolved),
        }
    }

    /// Fetches the manifest `digest` and replaces the proof. The earlier proof is kept if the budget does not allow all
    /// requests now, and dropped if a manifest cannot be fetched.
    async fn look_into(&mut self, digest: &Digest, learned: &mut Learned) -> Result<(), Error> {
        let found = match self.largest_layer(digest, &mut learned.named).await {
            Ok(None) => return Ok(()),
            Ok(Some(layer)) => Ok(layer),
            Err(error) if error.class.rules().of_content => Err(error.with_timings(Timings::default())),
            Err(error) => {
                learned.proof = None;
                return Err(error);
            }
        };
        learned.proof = Some(Proof { digest: digest.clone(), found, fetched: self.now });
        Ok(())
    }

    /// The digest that the tag names now. It is asked with a HEAD, which no registry counts as a pull.
    async fn resolve(&mut self) -> Result<Option<Digest>, Error> {
        let image = &self.target.image;
        let asked = self.client.manifest_head(&image.repository, &image.reference, self.deadline()).await;
        let head = self.take(Object::Tag, asked)?;
        self.journal.stale |= head.stale;
        let digest = match head.digest {
            None if self.sample != Sample::Layer => self.fetch_by_tag().await?,
            digest => digest,
        };
        self.journal.facts.digest.clone_from(&digest);
        Ok(digest)
    }

    /// Fetches the manifest by tag, if a registry names no digest; `None` if the budget does not allow it.
    async fn fetch_by_tag(&mut self) -> Result<Option<Digest>, Error> {
        let image = &self.target.image;
        if self.client.afford(&image.repository, &image.reference, self.deadline()).await.is_err() {
            return Ok(None);
        }
        let asked = self.client.manifest(&image.repository, &image.reference, self.deadline()).await;
        let raw = self.take(Object::Manifest, asked)?;
        Ok(Some(self.fetched.insert(raw).digest.clone()))
    }

    /// True if this manifest was fetched recently. A digest that is gone may be pushed again, so it is requested as
    /// often as the budget allows.
    fn proven(&self, proof: Option<&Proof>, digest: &Digest) -> bool {
        proof.is_some_and(|proof| {
            proof.digest == *digest
                && !matches!(&proof.found, Err(error) if error.class == Class::DigestGone)
                && proof.fetched >= self.since
                && self.now.saturating_duration_since(proof.fetched) < self.pace.manifest_max_age
        })
    }

    /// Fetches the manifest, and if it is an index the manifest of the platform, and returns the largest layer. `None`
    /// if the budget does not allow one of the two requests now; `Some(None)` for an image without layers.
    async fn largest_layer(
        &mut self,
        digest: &Digest,
        named: &mut Option<(Digest, Digest)>,
    ) -> Result<Option<Option<Child>>, Error> {
        let child = match named {
            Some((index, child)) if index == digest => child.clone(),
            _ => {
                let manifests = match self.afforded(digest).await? {
                    None => return Ok(None),
                    Some(Kind::Image { config, layers }) => {
                        return self.of_image(config, layers).await.map(Some);
                    }
                    Some(Kind::Index { manifests }) => manifests,
                    Some(Kind::Other { blobs }) => return Ok(Some(largest_of(blobs))),
                };
                let Some(child) = self.child(manifests).await? else { return Ok(None) };
                named.insert((digest.clone(), child)).1.clone()
            }
        };
        Ok(match self.afforded(&child).await? {
            None => None,
            Some(Kind::Image { config, layers }) => Some(self.of_image(config, layers).await?),
            Some(Kind::Index { .. }) => Some(None),
            Some(Kind::Other { blobs }) => Some(largest_of(blobs)),
        })
    }

    /// Reads what the sample contains besides the largest layer, and returns that layer.
    async fn of_image(&mut self, config: Child, layers: Vec<Child>) -> Result<Option<Child>, Error> {
        if matches!(self.sample, Sample::ConfigAndLayer { .. } | Sample::Everything) {
            self.journal.facts.built_for = self.platform_of(&config).await?;
        }
        let largest = largest(config, layers.clone());
        if self.sample == Sample::Everything {
            let others = layers.iter().filter(|layer| !layer.foreign && Some(*layer) != largest.as_ref());
            for layer in others {
                self.bytes_of(layer, u64::MAX, Duration::MAX).await?;
            }
        }
        Ok(largest)
    }

    /// The child of an index that a node of the target's platform pulls. As in containerd, children without a platform
    /// in the index are considered last, and their platform is read from their configuration. `None` if the budget does
    /// not allow one of the requests now.
    async fn child(&mut self, mut manifests: Vec<Child>) -> Result<Option<Digest>, Error> {
        let platform = &self.target.platform;
        let chosen =
            |manifests: &[Child]| Child::for_platform(platform, manifests).map(|child| child.digest.clone());
        if self.lacking(&manifests).is_none()
            && let Some(child) = chosen(&manifests)
        {
            return Ok(Some(child));
        }
        for child in manifests.iter_mut().filter(|child| child.platform.is_none()).take(CONFIGS_READ) {
            match self.afforded(&child.digest).await? {
                None => return Ok(None),
                Some(Kind::Image { config, .. }) => child.platform = self.platform_of(&config).await?,
                Some(_) => {}
            }
        }
        match self.lacking(&manifests) {
            Some(platform) => Err(self.platform_missing(platform)),
            None => chosen(&manifests).map(Some).ok_or_else(|| self.platform_missing(platform)),
        }
    }

    /// The first platform of the nodes that the index does not have.
    fn lacking(&self, manifests: &[Child]) -> Option<&Platform> {
        self.also.iter().find(|platform| Child::for_platform(platform, manifests).is_none())
    }

    async fn platform_of(&mut self, config: &Child) -> Result<Option<Platform>, Error> {
        let repository = &self.target.image.repository;
        let asked = self.client.blob(repository, &config.digest, None, self.deadline()).await;
        let mut blob = self.take(Object::Config, asked)?;
        let document =
            self.document(&mut blob, config).await.inspect_err(|error| self.journal.faulty(error))?;
        Ok(document.as_deref().and_then(Platform::of_config))
    }

    /// The bytes of a configuration, verified; `None` if it is too large for one.
    async fn document(&mut self, blob: &mut BlobStream, config: &Child) -> Result<Option<Vec<u8>>, Error> {
        let begun = Instant::now();
        let mut document = Vec::new();
        while let Some(bytes) = blob.body.next().await {
            document.extend_from_slice(&bytes?);
            if document.len() as u64 > CONFIG_MAX {
                return Ok(None);
            }
        }
        self.journal.received(Stage::BlobTransfer, document.len() as u64, begun.elapsed());
        let mut verifier = Verifier::new(config.digest.clone());
        verifier.update(&document);
        self.verified(verifier).map(|()| Some(document))
    }

    /// The manifest; `None` if the budget does not allow the request now.
    async fn afforded(&mut self, digest: &Digest) -> Result<Option<Kind>, Error> {
        if !self.may_spend(digest).await {
            return Ok(None);
        }
        self.manifest(digest).await.map(|manifest| Some(manifest.kind))
    }

    /// Spends one counted request if the prober's share and the quota allow it.
    async fn may_spend(&self, digest: &Digest) -> bool {
        let reference = Reference::Digest(digest.clone());
        let spare = self.client.afford(&self.target.image.repository, &reference, self.deadline()).await;
        spare.is_ok() && self.memory.spend(self.client.registry(), self.now)
    }

    async fn manifest(&mut self, digest: &Digest) -> Result<Manifest, Error> {
        let raw = match self.fetched.take() {
            Some(raw) if raw.digest == *digest => raw,
            _ => self.fetch(digest).await?,
        };
        let host = self.journal.steps.last().map(|step| step.host.clone()).unwrap_or_default();
        let parsed = Manifest::parse(&raw.media_type, &raw.bytes).map_err(|error| {
            Error::new(Class::MediaType, Stage::ManifestGet, Evidence::host(host).saying(&error.to_string()))
        });
        match &parsed {
            Ok(manifest) => self.journal.read(digest, &manifest.kind),
            Err(error) => self.journal.faulty(error),
        }
        parsed
    }

    async fn fetch(&mut self, digest: &Digest) -> Result<RawManifest, Error> {
        let reference = Reference::Digest(digest.clone());
        let asked = self.client.manifest(&self.target.image.repository, &reference, self.deadline()).await;
        self.take(Object::Manifest, asked)
    }

    /// Reads the sample of the largest layer.
    async fn first_bytes(&mut self, layer: &Child) -> Result<(), Error> {
        match self.sample {
            Sample::Headers => {
                let repository = &self.target.image.repository;
                let asked = self.client.blob_head(repository, &layer.digest, self.deadline()).await;
                self.take(Object::Layer, asked).map(drop)
            }
            Sample::Layer => self.bytes_of(layer, SAMPLE_BYTES, Duration::MAX).await,
            Sample::ConfigAndLayer { bytes, time } => self.bytes_of(layer, bytes, time).await,
            Sample::Everything => self.bytes_of(layer, u64::MAX, Duration::MAX).await,
        }
    }

    /// Reads the first bytes of a layer, at most `limit`, for at most `time`. A layer that is read to its end is verified.
    async fn bytes_of(&mut self, layer: &Child, limit: u64, time: Duration) -> Result<(), Error> {
        let range = (layer.size > limit).then(|| ByteRange { start: 0, end: Some(limit - 1) });
        let asked =
            self.client.blob(&self.target.image.repository, &layer.digest, range, self.deadline()).await;
        let mut blob = self.take(Object::Layer, asked)?;
        let read = self.read(&mut blob, layer, limit, time).await;
        read.inspect_err(|error| self.journal.faulty(error))
    }

    async fn read(
        &mut self,
        blob: &mut BlobStream,
        layer: &Child,
        limit: u64,
        time: Duration,
    ) -> Result<(), Error> {
        let mut verifier = Verifier::new(layer.digest.clone());
        let (begun, mut count) = (Instant::now(), 0);
        let mut ended = Ok(());
        while ended.is_ok()
            && count < limit
            && begun.elapsed() < time
            && let Some(bytes) = blob.body.next().await
        {
            ended = bytes.map(|bytes| {
                count += bytes.len() as u64;
                verifier.update(&bytes);
            });
        }
        self.journal.received(Stage::BlobTransfer, count, begun.elapsed());
        ended?;
        if count < layer.size { Ok(()) } else { self.verified(verifier) }
    }

    /// Fails if the bytes of the last step have another digest.
    fn verified(&self, verifier: Verifier) -> Result<(), Error> {
        let host = self.journal.steps.last().map(|step| step.host.clone()).unwrap_or_default();
        verifier.finish().map(drop).map_err(|wrong| {
            let evidence = Evidence::host(host).because(Reason::WrongDigest).saying(&wrong.to_string());
            Error::new(Class::Corrupt, Stage::BlobTransfer, evidence)
        })
    }

    fn platform_missing(&self, platform: &Platform) -> Error {
        let message = format!("the index of {} has no manifest for {platform}", self.target.image);
        let evidence = Evidence::host(self.target.image.registry.as_str()).saying(&message);
        Error::new(Class::PlatformMissing, Stage::ManifestGet, evidence)
    }

    fn take<T>(&mut self, object: Object, asked: Result<Answer<T>, Error>) -> Result<T, Error> {
        match asked {
            Ok(answer) => {
                self.journal.answered(object, &answer);
                self.memory.learn(self.client.registry(), answer.quota.as_ref());
                Ok(answer.value)
            }
            Err(error) => {
                self.journal.failed(object, &error);
                Err(error)
            }
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.pace.call_timeout
    }
}

/// The reach probe: the stages from resolve to challenge, without an image and without a token.
pub(crate) async fn reach(client: &Client, pace: Pace) -> Seen {
    match client.reach(Instant::now() + pace.call_timeout).await {
        Ok(answer) => Seen {
            verdict: Verdict::of_success(Depth::Reachable, answer.quota.as_ref()),
            timings: answer.timings,
            retry_after: None,
            asked: true,
            status: None,
        },
        Err(error) => Seen {
            verdict: Verdict::of_error(&error),
            timings: error.timings,
            retry_after: error.evidence.retry_after,
            asked: true,
            status: error.evidence.status,
        },
    }
}

/// True if everyone may see the manifest: a HEAD without any credential.
pub(crate) async fn is_public(anonymous: &Client, target: &Target, pace: Pace) -> bool {
    let Target { image, .. } = target;
    let deadline = Instant::now() + pace.call_timeout;
    anonymous.manifest_head(&image.repository, &image.reference, deadline).await.is_ok()
}

/// The largest layer, else the configuration. Foreign layers do not count, since the registry does not serve them.
fn largest(config: Child, layers: Vec<Child>) -> Option<Child> {
    layers.into_iter().filter(|layer| !layer.foreign).max_by_key(|layer| layer.size).or(Some(config))
}

/// The largest blob of a document of another kind.
fn largest_of(blobs: Vec<Child>) -> Option<Child> {
    blobs.into_iter().filter(|blob| !blob.foreign).max_by_key(|blob| blob.size)
}

/// Bytes that are read of a layer: enough to show that the blob host works, too few to matter on a bill.
const SAMPLE_BYTES: u64 = 64 * 1024;
/// Maximum number of children of one index whose configuration is read for its platform.
const CONFIGS_READ: usize = 4;
