//! The steps of one walk, as lines of a table.

use std::time::Duration;

use oci::{Platform, Stage};
use prober::Examination;
use prober::journal::{Journal, Object, Step};
use registry::Error;
use url::Url;

use super::document::StageLine;
use super::heard::{Met, seconds_between};
use crate::admin::human::{age, count, size};

/// The walk, and what was met on its way.
pub(super) struct Way<'a> {
    pub(super) examination: &'a Examination,
    pub(super) met: &'a Met,
    pub(super) endpoint: Option<&'a Url>,
    pub(super) forward_proxy: Option<&'a str>,
    pub(super) platform: &'a Platform,
}

impl Way<'_> {
    /// Every step, in order.
    pub(super) fn lines(&self) -> Vec<StageLine> {
        let mut lines = vec![self.resolve(), self.connect(), self.tls(), self.challenge(), self.token()];
        lines.extend(OBJECTS.iter().map(|object| self.object(*object)));
        // After a failure, a step without a time was not reached.
        if let Some(failed) = lines.iter().position(|line| line.state == FAILED) {
            for line in lines[failed + 1..].iter_mut().filter(|line| line.state != OK) {
                *line =
                    StageLine { seconds: None, state: NOT_REACHED, result: String::new(), ..line.clone() };
            }
        }
        lines
    }

    fn journal(&self) -> &Journal {
        &self.examination.journal
    }

    fn first(&self) -> Option<&Step> {
        self.journal().steps.first()
    }

    /// The failure of the first request, if it is one of `stage`.
    fn failure(&self, stage: Stage) -> Option<&Error> {
        self.first()?.error.as_ref().filter(|error| error.stage == stage)
    }

    fn time(&self, stage: Stage) -> Option<Duration> {
        self.first()?.timings.of(stage)
    }

    /// A stage of the first request. Without a time and without a failure it was not needed.
    fn stage(&self, stage: Stage, good: String, unneeded: &str) -> StageLine {
        let (state, result) = match (self.failure(stage), self.time(stage)) {
            (Some(error), _) => (FAILED, said(error)),
            (None, Some(_)) => (OK, good),
            (None, None) => (NOT_NEEDED, unneeded.to_owned()),
        };
        line(stage.as_str(), self.time(stage), state, result)
    }

    fn resolve(&self) -> StageLine {
        let good = self.met.resolved.first().map_or_else(String::new, |(host, addresses)| {
            let shown: Vec<_> = addresses.iter().take(ADDRESSES).map(ToString::to_string).collect();
            let more = addresses.len().saturating_sub(ADDRESSES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{host} = {}{more}", shown.join(", "))
        });
        let literal = match self.forward_proxy {
            Some(_) => "the forward proxy resolves",
            None => "the endpoint is an address",
        };
        self.stage(Stage::Resolve, good, literal)
    }

    fn connect(&self) -> StageLine {
        let failed = || self.first()?.error.as_ref()?.evidence.address;
        let peer = self.met.answers.first().and_then(|head| head.peer).or_else(failed);
        let good = match (self.forward_proxy, peer) {
            (Some(proxy), _) => format!("through the forward proxy {proxy}"),
            (None, Some(peer)) => peer.to_string(),
            (None, None) => "connected".to_owned(),
        };
        self.stage(Stage::Connect, good, "")
    }

    fn tls(&self) -> StageLine {
        let seen = self.met.certificates.first();
        let good = seen.map_or_else(String::new, |certificate| {
            let left = seconds_between(std::time::SystemTime::now(), certificate.not_after).max(0);
            let left = age(u64::try_from(left).unwrap_or(0));
            format!("valid for {left} more; issuer {}; {}", certificate.issuer, self.clock())
        });
        let is_plain = self.endpoint.is_some_and(|url| url.scheme() == "http");
        self.stage(Stage::Tls, good, if is_plain { "the endpoint speaks plain HTTP" } else { "" })
    }

    /// This machine's clock, compared with that of the first host that answered.
    fn clock(&self) -> String {
        let ahead = self.met.answers.iter().find_map(|head| head.ahead);
        match ahead {
            None => "the host states no time".to_owned(),
            Some(ahead) if ahead.abs() < diagnose::image::OFF_FROM => "the clocks agree".to_owned(),
            Some(ahead) if ahead > 0 => format!("our clock is {} ahead", age(ahead.unsigned_abs())),
            Some(ahead) => format!("our clock is {} behind", age(ahead.unsigned_abs())),
        }
    }

    fn challenge(&self) -> StageLine {
        let answer = self.met.answers.iter().find(|head| head.status.as_u16() == 401);
        let good = answer.map_or_else(String::new, |head| format!("{} asks for a token or login", head.host));
        self.stage(Stage::Challenge, good, "no token is asked for")
    }

    fn token(&self) -> StageLine {
        let host = self.met.answers.iter().find(|head| head.stage == Stage::Token);
        let good = host.map_or_else(String::new, |head| format!("given by {}", head.host));
        self.stage(Stage::Token, good, "")
    }

    /// The request for one object. Its time is that of the whole request, without the way to the host.
    fn object(&self, object: Object) -> StageLine {
        let name = name(object);
        let Some(step) = self.journal().steps.iter().find(|step| step.object == object) else {
            return line(name, None, NOT_NEEDED, self.unneeded(object));
        };
        let time: Duration = step
            .timings
            .iter()
            .filter(|(stage, _)| *stage >= Stage::ManifestHead)
            .map(|(_, time)| time)
            .sum();
        match &step.error {
            Some(error) if error.stage < Stage::ManifestHead && object == Object::Tag => {
                line(name, None, NOT_REACHED, String::new())
            }
            Some(error) => line(name, Some(time), FAILED, said(error)),
            None => match self.contradiction(object) {
                Some(error) => line(name, Some(time), FAILED, said(error)),
                None => line(name, Some(time), OK, self.good(object, step)),
            },
        }
    }

    /// The failure that the content of a good answer means: an index without the platform.
    fn contradiction(&self, object: Object) -> Option<&Error> {
        let error = self.examination.result.as_ref().err()?;
        (object == Object::Index && error.class == oci::Class::PlatformMissing).then_some(error)
    }

    fn unneeded(&self, object: Object) -> String {
        let facts = &self.journal().facts;
        match object {
            Object::Index if facts.manifest.is_some() => "the tag names an image, no index".to_owned(),
            Object::Manifest | Object::Index
                if facts.manifest.is_none() && self.examination.result.is_ok() =>
            {
                "not asked, to spare the quota".to_owned()
            }
            _ => String::new(),
        }
    }

    fn good(&self, object: Object, step: &Step) -> String {
        let facts = &self.journal().facts;
        let digest = |digest: &Option<oci::Digest>| {
            digest.as_ref().map_or_else(|| "no digest stated".to_owned(), crate::pulls::words::short)
        };
        match object {
            Object::Tag => digest(&facts.digest),
            Object::Index => {
                let names: Vec<_> = facts.platforms.iter().map(ToString::to_string).collect();
                names.join(", ")
            }
            Object::Manifest => {
                let bytes = size(facts.layers.iter().map(|layer| layer.size).sum());
                format!("{}, {}, {bytes}", digest(&facts.manifest), count(facts.layers.len(), "layer"))
            }
            Object::Config => match &facts.built_for {
                Some(platform) => format!("built for {platform}"),
                None => format!("names no platform; asked for {}", self.platform),
            },
            Object::Layer => format!("{} from {}", size(step.bytes), step.host),
        }
    }
}

fn line(stage: &'static str, time: Option<Duration>, state: &'static str, result: String) -> StageLine {
    StageLine { stage, seconds: time.map(|time| time.as_secs_f64()), state, result }
}

/// The evidence of a failure, with its class.
pub(super) fn said(error: &Error) -> String {
    error.to_string()
}

fn name(object: Object) -> &'static str {
    match object {
        Object::Tag => "tag (HEAD)",
        Object::Index => "index (GET)",
        Object::Manifest => "manifest (GET)",
        Object::Config => "config",
        Object::Layer => "layer",
    }
}

/// The states of a line.
pub(super) const OK: &str = "ok";
pub(super) const FAILED: &str = "failed";
pub(super) const NOT_NEEDED: &str = "not_needed";
pub(super) const NOT_REACHED: &str = "not_reached";
/// The objects of a walk, in order.
const OBJECTS: [Object; 5] = [Object::Tag, Object::Index, Object::Manifest, Object::Config, Object::Layer];
/// Addresses of a name that are shown.
const ADDRESSES: usize = 3;
