//! Signed URLs to the second host, as object stores give them.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::registry::message::{Answer, Ask};

/// Signs URLs and judges them when they come back.
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

    /// Every URL signed so far is expired now.
    pub(crate) fn expire(&mut self) {
        self.signed.clear();
    }

    /// The refusal, if the URL is not good. S3 answers 400 to a request that is signed and authorized.
    pub(crate) fn refusal(&self, ask: &Ask) -> Option<Answer> {
        if ask.is_authorized() {
            return Some(xml(400, "InvalidArgument", "Only one auth mechanism allowed"));
        }
        let good =
            ask.query("signature").and_then(|signature| self.signed.get(signature)).is_some_and(|signed| {
                ask.reference.as_ref() == Some(&signed.digest) && signed.expires > Instant::now()
            });
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
