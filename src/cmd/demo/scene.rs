//! The schedule of the demo: normal pulls, a spent quota (429), an outage, an expired certificate, normal pulls again.

use std::time::Duration;

use loadtest::registry::{Quota, Rule, TooMany};

use super::pull::{Pulled, pull};
use super::report::{Alone, Event, Reporter, Totals};
use super::stage::{DEMO, DemoError, EXPIRED, Stage};

/// Plays all scenes; returns false if a pull or a verdict was not as expected.
pub(crate) async fn cycle(
    stage: &mut Stage,
    reporter: &Reporter,
    totals: &mut Totals,
) -> Result<bool, DemoError> {
    let mut scenes = Scenes { stage, reporter, totals, as_expected: true };
    scenes.health("The registry is healthy").await?;
    scenes.limited().await?;
    scenes.outage().await?;
    scenes.expired().await?;
    scenes.health("Everything is back").await?;
    Ok(scenes.as_expected)
}

struct Scenes<'a> {
    stage: &'a mut Stage,
    reporter: &'a Reporter,
    totals: &'a mut Totals,
    as_expected: bool,
}

impl Scenes<'_> {
    async fn health(&mut self, title: &str) -> Result<(), DemoError> {
        self.tell(&Event::Scene { title })?;
        self.verdict(DEMO, "ok").await?;
        self.pull("app", Pulled::is_complete).await?;
        self.pull("app", Pulled::is_complete).await
    }

    async fn limited(&mut self) -> Result<(), DemoError> {
        self.tell(&Event::Scene { title: "The registry's pull quota is spent: manifests are answered 429" })?;
        let fault = self.stage.registry.fault(Rule::manifest().too_many_requests(TooMany::HubQuota));
        self.stage.registry.set_quota(Some(Quota::of(100).remaining(0)));
        self.verdict(DEMO, "rate_pull_quota").await?;
        self.tags_grow_old().await;
        self.pull("app", Pulled::is_stale).await?;
        self.pull("other", |pulled| pulled.failed_with("rate_pull_quota")).await?;
        self.stage.registry.clear(fault);
        self.stage.registry.set_quota(Some(Quota::of(100)));
        Ok(())
    }

    async fn outage(&mut self) -> Result<(), DemoError> {
        self.tell(&Event::Scene { title: "The registry is gone: connections are refused" })?;
        self.stage.registry.stop().await;
        self.verdict(DEMO, "connect_refused").await?;
        self.tags_grow_old().await;
        self.pull("app", Pulled::is_stale).await?;
        self.pull("other", |pulled| pulled.failed_with("connect_refused")).await?;
        self.stage.registry.restart()?;
        Ok(())
    }

    async fn expired(&mut self) -> Result<(), DemoError> {
        self.tell(&Event::Scene { title: "Another registry shows a certificate that expired in 2001" })?;
        self.verdict(EXPIRED, "tls_expired").await?;
        let name = format!("{EXPIRED}/library/app:1");
        let alone = Alone::Known { failure: "x509: certificate has expired or is not yet valid" };
        self.pull_beside(&name, alone, |pulled| pulled.failed_with("tls_expired")).await
    }

    /// Waits until the tag's record is older than `tag_max_age`, so that the mirror must ask the registry again.
    async fn tags_grow_old(&self) {
        tokio::time::sleep(TAG_MAX_AGE).await;
    }

    async fn pull(
        &mut self,
        image: &str,
        as_it_should: impl FnOnce(&Pulled) -> bool,
    ) -> Result<(), DemoError> {
        let name = format!("{DEMO}/library/{image}:1");
        let alone = Alone::Tried(pull(self.stage.registry.addr(), &name).await);
        self.pull_beside(&name, alone, as_it_should).await
    }

    async fn pull_beside(
        &mut self,
        image: &str,
        alone: Alone,
        as_it_should: impl FnOnce(&Pulled) -> bool,
    ) -> Result<(), DemoError> {
        let pulled = pull(self.stage.mirror, image).await;
        let good = as_it_should(&pulled);
        self.as_expected &= good;
        self.totals.add(&pulled, &alone);
        self.tell(&Event::Pull { good, image, mirror: &pulled, without_mirror: &alone })
    }

    async fn verdict(&mut self, registry: &str, verdict: &str) -> Result<(), DemoError> {
        let entry = self.stage.verdict(registry, verdict).await;
        let good = entry.is_some();
        self.as_expected &= good;
        let evidence = entry.as_ref().and_then(|entry| entry.evidence.as_deref());
        let fix = entry.as_ref().and_then(|entry| entry.fix);
        self.tell(&Event::Verdict { good, registry, verdict, evidence, fix })
    }

    fn tell(&self, event: &Event<'_>) -> Result<(), DemoError> {
        Ok(self.reporter.tell(event)?)
    }
}

/// A little more than the demo's `tag_max_age`.
const TAG_MAX_AGE: Duration = Duration::from_millis(1100);
