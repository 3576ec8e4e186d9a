//! The misbehaving registry, and the images it serves.
//!
//! Everything that pullgate promises is about an upstream that behaves badly, so the tests, `pullgate demo` and the
//! benchmarks need an upstream that can be told, request by request, what to do wrong.
//!
//! - [`registry`] is that upstream: an OCI registry on hyper. Left alone it is a good one: tokens, quotas, ranges,
//!   redirects to a second host. A [`Rule`](registry::Rule) names a request and says what goes wrong with it;
//!   a [`Gate`](registry::Gate) holds a request until the test lets it go; the [log](registry::Log) records the requests
//!   and the bytes sent, and can be awaited, so that no test sleeps.
//! - [`image`] makes deterministic images that real clients unpack: layers are tar files of pseudo-random bytes.
//! - [`canary`] is the text that stands in every secret of a test, and how to find it.
//! - [`tls`] makes certificates, good and bad ones.
//! - [`sockets`] holds what misbehaves before any HTTP: a port that refuses, a port where packets vanish.
//!
//! ```no_run
//! # async fn story() -> std::io::Result<()> {
//! use loadtest::{image::Image, registry::{At, Registry, Rule}};
//!
//! let upstream = Registry::start().await?;
//! let image = Image::with_layers(7, &[1 << 20]);
//! upstream.add_image("library/alpine", "3.20", &image);
//! upstream.fault(Rule::blob().reference(&image.layers[0].digest).once().reset_at(At::Byte(1000)));
//! // ... pull through pullgate, then:
//! upstream.wait_for(|log| log.blob_gets(&image.layers[0].digest) == 2).await;
//! # Ok(()) }
//! ```
//!
//! Nothing here leaves the machine: every listener binds a loopback address, on a port the system picks.

pub mod canary;
pub mod digest;
pub mod image;
pub mod registry;
pub mod sockets;
pub mod tls;
