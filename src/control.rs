//! How commands reach a running instance: a unix socket in the cache folder, for this user alone (design decision 21).
//!
//! One line of JSON asks, one line answers, and the connection ends. Nothing of this is reachable over TCP.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oci::{Digest, ImageName, RegistryHost};
use proxy::{Proxy, Warmed};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Store;
use store::inventory::Purge;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What a command asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Every image.
    Ls,
    /// What is known of an image or a digest.
    Explain(String),
    /// Pull an image.
    Warm { image: String, platforms: Vec<String> },
    /// Take out an image or a digest.
    Purge { subject: String, dry_run: bool },
    /// Take out a registry.
    PurgeRegistry { registry: String, dry_run: bool },
    /// Take out everything.
    PurgeAll { dry_run: bool },
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    /// The document asked for.
    Fine(Value),
    /// The question is wrong.
    Usage(String),
    /// The registry, or our way to it.
    Upstream(String),
    /// Ours.
    Failed(String),
}

/// The socket, bound and not yet answering.
pub(crate) struct Control {
    path: PathBuf,
    named: Named,
}

/// A listener with a name in a folder, which goes with it if it still is its own.
struct Named {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the name's file.
    file: Option<(u64, u64)>,
}

/// Where commands find the instance that holds `dir`.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

impl Control {
    /// Binds in `dir`, whose lock this process holds: what lies there is of a process that is gone. Without the socket
    /// everything but the commands works, so a failure is only told.
    pub(crate) fn bind(dir: &Path) -> Option<Self> {
        let path = socket(dir);
        let named = Named::bind(&path).inspect_err(|error| {
            tracing::warn!(path = %path.display(), %error, "no control socket: `pullgate cache` cannot reach this instance");
        });
        Some(Self { named: named.ok()?, path })
    }

    /// Answers until dropped. A name that is gone, with a folder that somebody wiped, is made anew as soon as the
    /// folder's lock is.
    pub(crate) async fn serve(mut self, proxy: Proxy) {
        let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(seat) = seats.clone().acquire_owned().await else { return };
            let Ok(accepted) = timeout(LOOK, self.named.listener.accept()).await else {
                self.look_after_name(&proxy).await;
                continue;
            };
            match accepted {
                Ok((stream, _)) => {
                    let proxy = proxy.clone();
                    tokio::spawn(async move {
                        let _seat = seat;
                        if let Err(error) = converse(stream, &proxy).await {
                            tracing::debug!(%error, "control connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "control socket cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// What cannot be bound is tried again at the next look.
    async fn look_after_name(&mut self, proxy: &Proxy) {
        // Asked in this order: in a folder that another instance holds, the name is another's.
        if self.named.is_there() || !proxy.store().holds_folder().await {
            return;
        }
        if let Ok(named) = Named::bind(&self.path) {
            self.named = named;
        }
    }
}

impl Named {
    fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned(), file: file_at(path) })
    }

    fn is_there(&self) -> bool {
        self.file.is_some() && file_at(&self.path) == self.file
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Asks the instance that holds `dir`; `None` when there is none to ask.
///
/// # Errors
/// The socket's.
pub(crate) async fn ask(dir: &Path, ask: &Ask) -> io::Result<Option<Told>> {
    let stream = match UnixStream::connect(socket(dir)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut stream = BufReader::new(stream);
    stream.write_all(&line(ask)?).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    serde_json::from_str(&answer).map(Some).map_err(io::Error::from)
}

/// Answers what needs no upstream, from the store alone.
pub(crate) async fn look(store: &Store, ask: &Ask) -> Told {
    let told: io::Result<Told> = match ask {
        Ask::Ls => store.images().await.map(document),
        Ask::Explain(subject) => match subject_of(subject) {
            Ok(Subject::Image(image)) => store.explain_image(&image).await.map(document),
            Ok(Subject::Digest(digest)) => store.explain_digest(&digest).await.map(document),
            Err(usage) => return usage,
        },
        Ask::Purge { subject, dry_run } => match subject_of(subject) {
            Ok(Subject::Image(image)) => store.purge(&Purge::Image(image), *dry_run).await.map(document),
            Ok(Subject::Digest(digest)) => store.purge(&Purge::Digest(digest), *dry_run).await.map(document),
            Err(usage) => return usage,
        },
        Ask::PurgeRegistry { registry, dry_run } => match registry.parse::<RegistryHost>() {
            Ok(registry) => store.purge(&Purge::Registry(registry), *dry_run).await.map(document),
            Err(error) => return Told::Usage(format!("{registry}: {error}")),
        },
        Ask::PurgeAll { dry_run } => store.purge(&Purge::All, *dry_run).await.map(document),
        Ask::Warm { .. } => {
            return Told::Usage("warm needs a running instance: start `pullgate serve` first".to_owned());
        }
    };
    told.unwrap_or_else(|error| Told::Failed(format!("the cache folder: {error}")))
}

async fn converse(stream: UnixStream, proxy: &Proxy) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut asked = String::new();
    let mut reading = BufReader::new(reading.take(ASK_MAX));
    let told = match timeout(ASK_TIMEOUT, reading.read_line(&mut asked)).await {
        Ok(Ok(_)) => answer(proxy, &asked).await,
        _ => Told::Usage("nothing was asked".to_owned()),
    };
    writing.write_all(&line(&told)?).await
}

async fn answer(proxy: &Proxy, asked: &str) -> Told {
    match serde_json::from_str::<Ask>(asked) {
        Err(error) => Told::Usage(format!("not a question this version knows: {error}")),
        Ok(Ask::Warm { image, platforms }) => match image.parse::<ImageName>() {
            Err(error) => Told::Usage(format!("{image}: {error}")),
            Ok(name) => match proxy.warm(&name, &platforms).await {
                Ok(warmed) => document::<Warmed>(warmed),
                Err(why) => Told::Upstream(format!("{name}: {why}")),
            },
        },
        Ok(ask) => look(proxy.store(), &ask).await,
    }
}

enum Subject {
    Image(ImageName),
    Digest(Digest),
}

fn subject_of(text: &str) -> Result<Subject, Told> {
    if let Ok(digest) = text.parse() {
        return Ok(Subject::Digest(digest));
    }
    text.parse().map(Subject::Image).map_err(|error| Told::Usage(format!("{text}: {error}")))
}

fn document<T: Serialize>(document: T) -> Told {
    serde_json::to_value(document).map_or_else(|error| Told::Failed(error.to_string()), Told::Fine)
}

fn line(document: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    Ok(line)
}

/// Commands at once.
const CONNECTIONS_MAX: usize = 8;
/// Longest question, bytes.
const ASK_MAX: u64 = 8192;
/// For the question; the answer may take as long as a pull.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks at the socket's name while nobody asks.
const LOOK: Duration = Duration::from_secs(1);
/// After a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
