//! The parts of a pod whose image does not come.

use cluster::api::{PodState, Waiting};
use cluster::images::{Role, Use};
use diagnose::classify;
use diagnose::pod::{PULL_REASONS, time_of_day};
use oci::{Class, ImageName};

/// A part of a pod whose image does not come.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) name: String,
    pub(super) role: &'static str,
    /// The image as it is written.
    pub(super) written: String,
    /// The image, if its name is one.
    pub(super) image: Option<ImageName>,
    pub(super) reason: String,
    pub(super) message: Option<String>,
}

impl Broken {
    /// The class that the message alone tells.
    pub(super) fn class(&self) -> Class {
        let told = classify(self.message.as_deref().unwrap_or_default()).class;
        if told == Class::Unknown { classify(&self.reason).class } else { told }
    }
}

/// The broken parts, in the order in which the kubelet starts them. Parts that wait for the same image count once.
pub(super) fn broken(pod: &PodState) -> Vec<Broken> {
    let mut found: Vec<Broken> = Vec::new();
    for container in &pod.containers {
        if let Some(part) = of_container(pod, container)
            && !found.iter().any(|known| known.written == part.written)
        {
            found.push(part);
        }
    }
    found
}

/// The part whose image has been on its way since this time, as one that is broken.
pub(super) fn on_its_way(pod: &PodState, written: &str, since: i64) -> Option<Broken> {
    let waits = |it: &&Waiting| it.image_id.is_empty() && &*it.image == written;
    let container = pod.containers.iter().find(waits)?;
    let used = pod.workload.uses.iter().find(|it| it.role == container.role && it.part == container.name)?;
    Some(Broken {
        name: container.name.to_string(),
        role: words(container.role),
        written: written.to_owned(),
        image: used.image.clone().ok(),
        reason: "Pulling".to_owned(),
        message: Some(format!("the pull began at {} and has not ended", time_of_day(since))),
    })
}

fn of_container(pod: &PodState, container: &Waiting) -> Option<Broken> {
    let reason = container.reason.as_deref().filter(|reason| PULL_REASONS.contains(reason))?;
    let message = container.message.as_deref();
    let uses = || pod.workload.uses.iter();
    let own = uses().find(|used| used.role == container.role && used.part == container.name);
    // A volume whose image does not come holds up the containers, and only the message names its image.
    let is_told = |used: &&Use| message.is_some_and(|text| text.contains(&written(used)));
    let volume = uses().filter(|used| used.role == Role::Volume).find(is_told);
    let is_own = own.as_ref().is_none_or(is_told);
    let used = volume.filter(|_| !is_own).or(own);
    let (name, role) = used.map_or((&container.name, container.role), |used| (&used.part, used.role));
    let of_volume = used.filter(|used| used.role == Role::Volume);
    Some(Broken {
        name: name.to_string(),
        role: words(role),
        written: of_volume.map_or_else(|| container.image.to_string(), written),
        image: used.and_then(|used| used.image.clone().ok()),
        reason: reason.to_owned(),
        message: message.map(str::to_owned),
    })
}

fn written(used: &Use) -> String {
    match &used.image {
        Ok(image) => image.to_string(),
        Err(bad) => bad.written.to_string(),
    }
}

fn words(role: Role) -> &'static str {
    match role {
        Role::Init => "init container",
        Role::App => "container",
        Role::Ephemeral => "ephemeral container",
        Role::Volume => "image volume",
    }
}
