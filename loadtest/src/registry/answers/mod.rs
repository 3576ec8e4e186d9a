//! The answers of a correct registry (content, access, quota and signed URLs), and the forms of a 429.

pub(super) mod access;
pub(super) mod content;
pub(super) mod correct;
pub(super) mod quota;
pub(super) mod signed_urls;
pub(super) mod too_many;

pub use access::{Access, Tokens};
pub use quota::Quota;
pub use too_many::TooMany;
