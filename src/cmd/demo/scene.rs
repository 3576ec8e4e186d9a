//! The schedule of the demo: health, a 429 spell, an outage, an expired certificate, health again.

use std::time::Duration;

use loadtest::registry::{Quota, Rule, TooMany};

use super::pull::{Pulled, pull};
use super::stage::{DEMO, DemoError, EXPIRED, Stage};

/// Plays all scenes; false if a pull or a verdict was not as it should be.
pub(crate) async fn cycle(stage: &mut Stage) -> Result<bool, DemoError> {
    let mut scenes = Scenes { stage, as_expected: true };
    scenes.health("The registry is healthy").await;
    scenes.limited().await;
    scenes.outage().await?;
    scenes.expired().await;
    scenes.health("Everything is back").await;
    Ok(scenes.as_expected)
}

struct Scenes<'a> {
    stage: &'a mut Stage,
    as_expected: bool,
}

impl Scenes<'_> {
    async fn health(&mut self, title: &str) {
        headline(title);
        self.verdict(DEMO, "ok").await;
        self.pull("app", Pulled::is_complete).await;
        self.pull("app", Pulled::is_complete).await;
    }

    async fn limited(&mut self) {
        headline("The registry's pull quota is spent: manifests are answered 429");
        let fault = self.stage.registry.fault(Rule::manifest().too_many_requests(TooMany::HubQuota));
        self.stage.registry.set_quota(Some(Quota::of(100).remaining(0)));
        self.verdict(DEMO, "rate_pull_quota").await;
        self.tags_grow_old().await;
        self.pull("app", Pulled::is_stale).await;
        self.pull("other", |pulled| pulled.failed_with("rate_pull_quota")).await;
        self.stage.registry.clear(fault);
        self.stage.registry.set_quota(Some(Quota::of(100)));
    }

    async fn outage(&mut self) -> Result<(), DemoError> {
        headline("The registry is gone: connections are refused");
        self.stage.registry.stop().await;
        self.verdict(DEMO, "connect_refused").await;
        self.tags_grow_old().await;
        self.pull("app", Pulled::is_stale).await;
        self.pull("other", |pulled| pulled.failed_with("connect_refused")).await;
        self.stage.registry.restart()?;
        Ok(())
    }

    async fn expired(&mut self) {
        headline("Another registry shows a certificate that expired in 2001");
        self.verdict(EXPIRED, "tls_expired").await;
        let name = format!("{EXPIRED}/library/app:1");
        self.pull_name(&name, |pulled| pulled.failed_with("tls_expired")).await;
    }

    /// Lets the tag's record grow older than `tag_max_age`, so that the mirror must ask again.
    async fn tags_grow_old(&self) {
        tokio::time::sleep(TAG_MAX_AGE).await;
    }

    async fn pull(&mut self, image: &str, as_it_should: impl FnOnce(&Pulled) -> bool) {
        self.pull_name(&format!("{DEMO}/library/{image}:1"), as_it_should).await;
    }

    async fn pull_name(&mut self, name: &str, as_it_should: impl FnOnce(&Pulled) -> bool) {
        let pulled = pull(self.stage.mirror, name).await;
        let good = as_it_should(&pulled);
        self.as_expected &= good;
        println!("  {} pull   {name}  {pulled}", mark(good));
    }

    async fn verdict(&mut self, registry: &str, verdict: &str) {
        let entry = self.stage.verdict(registry, verdict).await;
        self.as_expected &= entry.is_some();
        match entry {
            Some(entry) => {
                let evidence = entry.evidence.unwrap_or_default();
                let fix = entry.fix.map_or_else(String::new, |fix| format!("\n           next: {fix}"));
                println!("  {} prober {registry}  {verdict}  {evidence}{fix}", mark(true));
            }
            None => println!("  {} prober {registry}  did not conclude {verdict}", mark(false)),
        }
    }
}

fn headline(title: &str) {
    println!("\n{title}");
}

fn mark(good: bool) -> &'static str {
    if good { "✓" } else { "✗" }
}

/// A little more than the demo's `tag_max_age`.
const TAG_MAX_AGE: Duration = Duration::from_millis(1100);
