//! One request from its head to its answer, and the endpoints of the distribution specification.
//!
//! An [`exchange`] is one request on a connection. [`dispatch`] finds the upstream ([`served`]) of an [`arrived`]
//! request, has its access checked, and passes it on as [`asking`] to [`manifest`], [`blob`], [`tags`] or
//! [`referrers`]. [`ready`] keeps answers of the last second, [`fairness`] limits each client's upstream requests, [`warm`]
//! pulls an image as a client would, and [`completion`] does so for images with missing objects.

pub(crate) mod arrived;
pub(crate) mod asking;
mod blob;
pub(crate) mod completion;
pub(crate) mod dispatch;
pub(crate) mod exchange;
pub(crate) mod fairness;
pub(crate) mod manifest;
mod platform;
pub(crate) mod ready;
mod referrers;
pub(crate) mod served;
mod tags;
pub(crate) mod warm;
