//! Events and recent changes, as a diagnosis needs them.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// An event about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLine {
    /// The kind of the object.
    pub kind: Box<str>,
    /// The name of the object.
    pub name: Box<str>,
    /// `Normal` or `Warning`. `BackOff` is `Normal`.
    pub level: Box<str>,
    /// The reason, such as `Failed`.
    pub reason: Box<str>,
    /// The text, as the kubelet wrote it.
    pub message: Box<str>,
    /// The component and its node.
    pub source: Box<str>,
    /// The number of repetitions.
    pub count: i32,
    /// The first time, in seconds since 1970.
    pub first: Option<i64>,
    /// The last time, in seconds since 1970.
    pub last: Option<i64>,
}

oci::labels! {
    /// The kind of an object that was changed.
    ChangeKind {
        /// A secret.
        Secret = "Secret";
        /// A service account.
        ServiceAccount = "ServiceAccount";
        /// A network policy.
        NetworkPolicy = "NetworkPolicy";
        /// A Deployment.
        Deployment = "Deployment";
        /// A StatefulSet.
        StatefulSet = "StatefulSet";
        /// A DaemonSet.
        DaemonSet = "DaemonSet";
    }
}

/// A change of an object. Changes of its status do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The kind.
    pub kind: ChangeKind,
    /// The name.
    pub name: Box<str>,
    /// The time, in seconds since 1970.
    pub at: i64,
    /// True if the object was created then.
    pub created: bool,
    /// The program that made the change, such as `kubectl-edit`.
    pub manager: Option<Box<str>>,
}

impl From<&Event> for EventLine {
    fn from(event: &Event) -> Self {
        let text = |text: Option<&String>| text.map_or("", String::as_str).into();
        let source = event.source.as_ref();
        let component = source.and_then(|source| source.component.as_deref());
        let component = component.or(event.reporting_component.as_deref()).unwrap_or_default();
        let host = source.and_then(|source| source.host.as_deref()).unwrap_or_default();
        let created = event.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
        let once = event.event_time.as_ref().map(|time| time.0.as_second());
        let series = event.series.as_ref();
        let repeated =
            series.and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0.as_second());
        Self {
            kind: text(event.involved_object.kind.as_ref()),
            name: text(event.involved_object.name.as_ref()),
            level: text(event.type_.as_ref()),
            reason: text(event.reason.as_ref()),
            message: text(event.message.as_ref()),
            source: format!("{component} {host}").trim().into(),
            count: event.count.or(series.and_then(|series| series.count)).unwrap_or(1),
            first: event.first_timestamp.as_ref().map(|time| time.0.as_second()).or(once).or(created),
            last: event
                .last_timestamp
                .as_ref()
                .map(|time| time.0.as_second())
                .or(repeated)
                .or(once)
                .or(created),
        }
    }
}

impl Change {
    /// The last change of an object at or after `since`, by its metadata.
    pub(super) fn of(kind: ChangeKind, metadata: &ObjectMeta, since: i64) -> Option<Self> {
        let name = metadata.name.as_deref().unwrap_or_default();
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
        let entries = metadata.managed_fields.iter().flatten();
        let changes = entries.filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty());
        let last = changes
            .filter_map(|entry| Some((entry.time.as_ref()?.0.as_second(), entry.manager.as_deref())))
            .max_by_key(|(at, _)| *at);
        let (at, manager) = last.or(created.map(|at| (at, None)))?;
        (at >= since).then(|| Self {
            kind,
            name: name.into(),
            at,
            created: created == Some(at),
            manager: manager.map(Into::into),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_change_that_is_not_one_of_the_status_counts() {
        let metadata: ObjectMeta = serde_json::from_value(json!({
            "name": "web",
            "creationTimestamp": "1970-01-01T00:00:10Z",
            "managedFields": [
                { "manager": "kubectl-create", "time": "1970-01-01T00:00:10Z" },
                { "manager": "kubectl-edit", "time": "1970-01-01T00:00:50Z" },
                { "manager": "controller", "subresource": "status", "time": "1970-01-01T00:01:30Z" },
                { "manager": "timeless" }
            ]
        }))
        .unwrap();
        let change = Change::of(ChangeKind::Deployment, &metadata, 50).unwrap();
        assert_eq!((change.at, change.created, change.manager.as_deref()), (50, false, Some("kubectl-edit")));
        assert_eq!(Change::of(ChangeKind::Deployment, &metadata, 51), None);
        let plain: ObjectMeta =
            serde_json::from_value(json!({ "creationTimestamp": "1970-01-01T00:00:10Z" })).unwrap();
        assert!(Change::of(ChangeKind::Secret, &plain, 0).unwrap().created);
    }

    #[test]
    fn both_forms_of_an_event_are_read() {
        let old: Event = serde_json::from_value(json!({
            "metadata": {}, "type": "Normal", "reason": "BackOff", "message": "Back-off pulling image",
            "involvedObject": { "kind": "Pod", "name": "web" }, "count": 7,
            "source": { "component": "kubelet", "host": "n1" },
            "firstTimestamp": "1970-01-01T00:00:10Z", "lastTimestamp": "1970-01-01T00:00:50Z"
        }))
        .unwrap();
        let line = EventLine::from(&old);
        assert_eq!((line.count, line.first, line.last, &*line.source), (7, Some(10), Some(50), "kubelet n1"));
        let new: Event = serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {}, "reportingComponent": "kubelet", "eventTime": "1970-01-01T00:00:10.000000Z",
            "series": { "count": 3, "lastObservedTime": "1970-01-01T00:01:00.000000Z" }
        }))
        .unwrap();
        let line = EventLine::from(&new);
        assert_eq!((line.count, line.first, line.last, &*line.source), (3, Some(10), Some(60), "kubelet"));
    }
}
