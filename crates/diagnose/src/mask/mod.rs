//! Replaces names in a text, so that no word and no number inside a name decides the class.
//!
//! Digests, URLs, image references, paths, and what registries add as `map[...]` are overwritten byte by byte with
//! their [kind](crate::kind::Kind). Offsets stay the same. The rules match the result, and can only see that a name
//! stands there.
//!
//! - `masked` is the result; `names` finds names, `noise` what is no part of a failed pull.

mod masked;
mod names;
mod noise;

pub(crate) use masked::Masked;

/// Masks the plain text.
pub(crate) fn mask(plain: &str) -> Masked {
    let mut masked = Masked::new(plain);
    noise::lines(&mut masked);
    noise::mirrors(&mut masked);
    names::urls(plain, &mut masked);
    names::details(&mut masked);
    names::quoted(&mut masked);
    names::of_keys(&mut masked);
    names::in_sentences(&mut masked);
    names::paths(&mut masked);
    names::bare(&mut masked);
    names::digests(&mut masked);
    masked
}
