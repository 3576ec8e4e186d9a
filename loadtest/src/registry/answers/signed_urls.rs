//! Signed URLs to the second host, as object stores issue them.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::registry::message::{Answer, Request};

/// Signs URLs and verifies the URLs of requests.
#[derive(Debug)]
pub(crate) struct Signer {
    base_url: String,
    life: Duration,
    signed: HashMap<String, Signed>,
    count: u64,
}

#[derive(Debug)]
struct Signed {
    digest: String,
    expires: Instant,
}

impl Signer {
    pub(crate) fn new(base_url: String, life: Duration) -> Self {
        Self { base_url, life, signed: HashMap::new(), count: 0 }
    }

    pub(crate) fn sign(&mut self, digest: &str) -> String {
        self.count += 1;
        let signature = format!("sig{}", self.count);
        let expires = Instant::now() + self.life;
        self.signed.insert(signature.clone(), Signed { digest: digest.to_owned(), expires });
        format!("{}/cdn/{digest}?expires={}&signature={signature}", self.base_url, self.life.as_secs())
    }

    /// Expires every URL signed so far.
    pub(crate) fn expire(&mut self) {
        self.signed.clear();
    }

    /// The refusal, if the signature is unknown, expired or for another blob. As at S3, a request with both a signed
    /// URL and `Authorization` is refused with 400.
    pub(crate) fn refusal(&self, request: &Request) -> Option<Answer> {
        if request.is_authorized() {
            return Some(xml(400, "InvalidArgument", "Only one auth mechanism allowed"));
        }
        let good = request.query("signature").and_then(|signature| self.signed.get(signature)).is_some_and(
            |signed| request.reference.as_ref() == Some(&signed.digest) && signed.expires > Instant::now(),
        );
        (!good).then(|| xml(403, "AccessDenied", "Request has expired"))
    }
}

/// The refusal of a registry that signs no URLs.
pub(crate) fn not_signed() -> Answer {
    xml(403, "AccessDenied", "Access Denied")
}

fn xml(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Answer::with_body(status, "application/xml", body)
}
