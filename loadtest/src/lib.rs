//! The misbehaving registry, and the images that it serves.
//!
//! pullgate's promises are about upstreams that fail. The tests, `pullgate demo` and the benchmarks therefore need an
//! upstream whose faults can be set for each request.
//!
//! - [`registry`] is that upstream: an OCI registry on hyper. Without rules it is a correct registry with tokens, quotas,
//!   ranges, and redirects to a second host. A [`Rule`](registry::Rule) selects requests and gives their fault;
//!   a [`Gate`](registry::Gate) holds requests until the test opens it; the [log](registry::Log) records the requests
//!   and the bytes sent. Tests await an entry of the log instead of sleeping.
//! - [`image`] makes deterministic images that real clients unpack: layers are tar files of pseudo-random bytes.
//! - [`canary`] is a marker text in every secret of a test, with a search for it.
//! - [`tls`] makes valid and invalid certificates.
//! - [`sockets`] has faults below HTTP: a port that refuses connections, and a port that drops packets.
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
//! Nothing leaves the machine: every listener binds a loopback address, on a port that the system chooses.

pub mod canary;
pub mod digest;
pub mod image;
pub mod registry;
pub mod sockets;
pub mod tls;
