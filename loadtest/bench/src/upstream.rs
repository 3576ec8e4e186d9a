//! The registry behind the measured servers. It is a separate process, so that its work does not count as theirs.
//!
//! It prints its content in one line of JSON. Then it answers each line of its standard input (`sent DIGEST`) with one
//! line, and ends with its standard input, so that it never outlives the benchmark.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use loadtest::{
    image::{Blob, Image},
    registry::Registry,
};
use serde_json::{Value, json};
use tokio::{runtime, time::Instant};

use crate::{
    client::Target,
    error::{Doing, Error},
};

/// The content and the speed of an upstream.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Offer {
    /// The number of images, each with one layer.
    #[arg(long, default_value_t = 1)]
    pub(crate) images: u64,
    /// Size of each layer, bytes.
    #[arg(long, default_value_t = 200_000_000)]
    pub(crate) layer: usize,
    /// Bytes a second of every connection; 0 is no limit.
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
}

/// An image of the upstream.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    /// The tag of the image.
    pub(crate) tag: String,
    /// The digest of the manifest.
    pub(crate) manifest: String,
    /// The digest of the configuration.
    pub(crate) config: String,
    /// The digest of the only layer.
    pub(crate) layer: String,
    /// Size of the layer, bytes.
    pub(crate) layer_bytes: u64,
    /// Size of the manifest, bytes.
    pub(crate) manifest_bytes: u64,
}

impl Content {
    /// The path of the manifest, by tag.
    pub(crate) fn by_tag(&self) -> String {
        format!("/v2/{REPOSITORY}/manifests/{}", self.tag)
    }

    /// The path of the manifest, by digest.
    pub(crate) fn by_digest(&self) -> String {
        format!("/v2/{REPOSITORY}/manifests/{}", self.manifest)
    }

    /// The path of the configuration.
    pub(crate) fn config_path(&self) -> String {
        format!("/v2/{REPOSITORY}/blobs/{}", self.config)
    }

    /// The path of the layer.
    pub(crate) fn layer_path(&self) -> String {
        format!("/v2/{REPOSITORY}/blobs/{}", self.layer)
    }
}

/// A running upstream. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Upstream {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    addr: SocketAddr,
    contents: Vec<Content>,
    command_line: String,
}

impl Upstream {
    /// Starts an upstream.
    pub(crate) fn start(offer: &Offer) -> Result<Self, Error> {
        let program = std::env::current_exe().doing("finding this program")?;
        let numbers = [("--images", offer.images), ("--layer", offer.layer as u64), ("--rate", offer.rate)];
        let arguments: Vec<String> =
            numbers.iter().flat_map(|(name, number)| [(*name).to_owned(), number.to_string()]).collect();
        let mut child = Command::new(program)
            .arg("upstream")
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing("starting the upstream")?;
        let questions = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("invariant: its output is piped"));
        let offered = read_line(&mut answers)?;
        let read = |offered: &Value| Some((offered["addr"].as_str()?.parse().ok()?, contents(offered)?));
        let offered: Value = serde_json::from_str(&offered).unwrap_or_default();
        let (addr, contents) =
            read(&offered).ok_or_else(|| Error::Answer(format!("the upstream said {offered}")))?;
        let command_line = format!("loadtest upstream {}", arguments.join(" "));
        Ok(Self { child, questions, answers, addr, contents, command_line })
    }

    /// The URL of the upstream.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The images of the upstream.
    pub(crate) fn contents(&self) -> &[Content] {
        &self.contents
    }

    /// The request for `path` at the upstream itself, without a server between.
    pub(crate) fn target(&self, path: &str) -> Target {
        Target::plain(self.addr, path)
    }

    /// The command line that started it, for the report.
    pub(crate) fn command_line(&self) -> &str {
        &self.command_line
    }

    /// Body bytes that the upstream has sent for a digest, in all requests.
    pub(crate) fn sent(&mut self, digest: &str) -> Result<u64, Error> {
        let questions = self.questions.as_mut().expect("invariant: taken when it is dropped");
        writeln!(questions, "sent {digest}").doing("asking the upstream")?;
        let answer = read_line(&mut self.answers)?;
        answer.trim().parse().map_err(|_| Error::Answer(format!("the upstream said {answer}")))
    }

    /// Waits until the upstream sends no more bytes of a digest: a cache may still fetch after its client was served.
    pub(crate) fn settled(&mut self, digest: &str) -> Result<u64, Error> {
        let until = Instant::now() + SETTLE_LIMIT;
        let mut before = self.sent(digest)?;
        loop {
            std::thread::sleep(SETTLED_AFTER);
            let now = self.sent(digest)?;
            if now == before || Instant::now() > until {
                return Ok(now);
            }
            before = now;
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.questions.take();
        let _ = self.child.wait();
    }
}

/// Serves `offer` until `questions` ends.
pub(crate) fn serve(offer: &Offer, questions: impl BufRead) -> Result<(), Error> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().doing("starting the runtime")?;
    let registry = runtime.block_on(Registry::start()).doing("starting the upstream")?;
    registry.limit_rate((offer.rate > 0).then_some(offer.rate));
    let images: Vec<Value> = (1..=offer.images).map(|number| add(&registry, number, offer.layer)).collect();
    say(&json!({ "addr": registry.addr().to_string(), "images": images }).to_string())?;
    for question in questions.lines() {
        let question = question.doing("reading a question")?;
        let digest = question.strip_prefix("sent ").unwrap_or_default();
        say(&registry.log().bytes_sent(digest).to_string())?;
    }
    runtime.block_on(registry.shutdown());
    Ok(())
}

fn add(registry: &Registry, number: u64, layer: usize) -> Value {
    let pad = "x".repeat(MANIFEST_PAD);
    let image = Image::builder(number).plain_layer_of(layer).annotation("org.example.pad", &pad).finish();
    let tag = number.to_string();
    registry.add_image(REPOSITORY, &tag, &image);
    let size = |blob: &Blob| blob.bytes.len();
    json!({
        "tag": tag,
        "manifest": image.digest(),
        "config": image.config.digest,
        "layer": image.layers[0].digest,
        "layer_bytes": size(&image.layers[0]),
        "manifest_bytes": size(&image.manifest),
    })
}

fn contents(offered: &Value) -> Option<Vec<Content>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let content = |image: &Value| {
        Some(Content {
            tag: text(&image["tag"])?,
            manifest: text(&image["manifest"])?,
            config: text(&image["config"])?,
            layer: text(&image["layer"])?,
            layer_bytes: image["layer_bytes"].as_u64()?,
            manifest_bytes: image["manifest_bytes"].as_u64()?,
        })
    };
    offered["images"].as_array()?.iter().map(content).collect()
}

fn say(line: &str) -> Result<(), Error> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).doing("answering the benchmark")
}

fn read_line(answers: &mut BufReader<ChildStdout>) -> Result<String, Error> {
    let mut line = String::new();
    answers.read_line(&mut line).doing("listening to the upstream")?;
    Ok(line)
}

const REPOSITORY: &str = "bench/app";
/// Bytes of padding, which make the manifest a little larger than 4 KiB.
const MANIFEST_PAD: usize = 3_600;
const SETTLED_AFTER: Duration = Duration::from_millis(200);
const SETTLE_LIMIT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announced_images_are_parsed() {
        let offered = json!({ "images": [{
            "tag": "1", "manifest": "sha256:m", "config": "sha256:c", "layer": "sha256:l", "layer_bytes": 7,
            "manifest_bytes": 9,
        }] });
        let contents = contents(&offered).unwrap_or_default();
        assert_eq!(contents.len(), 1);
        assert_eq!(contents[0].layer_path(), "/v2/bench/app/blobs/sha256:l");
        assert_eq!(contents[0].layer_bytes, 7);
        assert!(super::contents(&json!({ "images": [{}] })).is_none());
    }
}
