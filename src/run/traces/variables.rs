//! The environment variables of OpenTelemetry that the SDK does not read itself, and faults in those that it does.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// What the environment says about traces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variables {
    /// True if the collector is asked over TLS.
    pub(super) tls: bool,
    /// A file with authorities to trust instead of the system's.
    pub(super) certificate: Option<PathBuf>,
    /// The longest time of one request to the collector.
    pub(super) timeout: Duration,
    /// The time for which ended pulls are gathered before they are exported.
    pub(super) delay: Duration,
    /// Variables that have no effect, as sentences.
    pub(super) ignored: Vec<String>,
}

/// A variable that makes traces impossible. The message never contains its value, which may hold a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an http or https URL")]
pub(super) struct EndpointError(&'static str);

impl Variables {
    /// Reads the variables through `get`. `None` if traces are off.
    pub(super) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, EndpointError> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let endpoint = ENDPOINTS.iter().find_map(|name| Some((*name, get(name)?)));
        let Some((name, endpoint)) = endpoint.filter(|_| !is_off(get)) else { return Ok(None) };
        let url = Url::parse(&endpoint).map_err(|_| EndpointError(name))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(EndpointError(name));
        }
        let first = |names: &[&str]| names.iter().find_map(|name| get(name));
        let millis =
            |names: &[&str], default| first(names).and_then(|value| parse_millis(&value)).unwrap_or(default);
        Ok(Some(Self {
            tls: url.scheme() == "https",
            certificate: first(CERTIFICATES).map(PathBuf::from),
            timeout: millis(TIMEOUTS, TIMEOUT),
            delay: millis(&["OTEL_BSP_SCHEDULE_DELAY"], DELAY),
            ignored: ignored(get),
        }))
    }
}

/// True if the variables turn traces off although there is an endpoint.
fn is_off(get: impl Fn(&str) -> Option<String>) -> bool {
    let disabled = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let exporters = get("OTEL_TRACES_EXPORTER");
    let elsewhere =
        exporters.is_some_and(|value| !value.split(',').any(|exporter| exporter.trim() == "otlp"));
    disabled || elsewhere
}

fn ignored(get: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut ignored = Vec::new();
    if PROTOCOLS.iter().find_map(|name| get(name)).is_some_and(|value| value != "http/protobuf") {
        ignored.push(
            "traces are exported as http/protobuf, whatever OTEL_EXPORTER_OTLP_PROTOCOL says".to_owned(),
        );
    }
    if get("OTEL_TRACES_SAMPLER").is_some_and(|value| !SAMPLERS.contains(&value.as_str())) {
        let known = SAMPLERS.join(", ");
        ignored.push(format!("OTEL_TRACES_SAMPLER is not one of {known}: every pull is a trace"));
    }
    let by_ratio = get("OTEL_TRACES_SAMPLER").is_some_and(|value| value.ends_with("traceidratio"));
    let ratio = get("OTEL_TRACES_SAMPLER_ARG").and_then(|value| value.parse::<f64>().ok());
    if by_ratio && !ratio.is_some_and(|ratio| (0.0..=1.0).contains(&ratio)) {
        ignored.push("OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1: every pull is a trace".to_owned());
    }
    ignored
}

fn parse_millis(value: &str) -> Option<Duration> {
    let millis = value.trim().parse().ok()?;
    Some(Duration::from_millis(millis).min(LONGEST)).filter(|time| !time.is_zero())
}

/// The variables of one setting, that for traces before that for every signal.
const ENDPOINTS: &[&str] = &["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const CERTIFICATES: &[&str] = &["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const TIMEOUTS: &[&str] = &["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const PROTOCOLS: &[&str] = &["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
/// The samplers that the SDK implements.
const SAMPLERS: &[&str] = &[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];
/// The defaults of OpenTelemetry's specification.
const TIMEOUT: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_secs(5);
/// The longest time that a variable can set.
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    fn read(variables: &[(&str, &str)]) -> Result<Option<Variables>, EndpointError> {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Variables::read(|name| get(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn traces_need_an_endpoint_and_can_be_turned_off() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
        assert_eq!(read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
        assert!(read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "console, otlp")]).unwrap().is_some());
        let defaults = read(&[ENDPOINT]).unwrap().unwrap();
        assert_eq!((defaults.tls, defaults.timeout, defaults.delay), (false, TIMEOUT, DELAY));
        assert!(defaults.ignored.is_empty());
    }

    #[test]
    fn variables_for_traces_precede_those_for_every_signal() {
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces/v1/traces");
        let times = [("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500")];
        let read = read(&[&[ENDPOINT, of_traces][..], &times[..]].concat()).unwrap().unwrap();
        assert_eq!((read.tls, read.timeout), (true, Duration::from_millis(500)));
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_named_without_its_value() {
        for endpoint in ["user:secret@collector", "ftp://user:secret@collector", "http://"] {
            let error = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).unwrap_err().to_string();
            assert_eq!(error, "OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https URL");
        }
    }

    #[test]
    fn variables_without_effect_are_told() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ] {
            assert_eq!(read(&[ENDPOINT, (name, value)]).unwrap().unwrap().ignored.len(), 1, "{name}={value}");
        }
        let ratio =
            |ratio| [ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)];
        assert!(read(&ratio("0.01")).unwrap().unwrap().ignored.is_empty());
        assert_eq!(read(&ratio("2")).unwrap().unwrap().ignored.len(), 1);
    }
}
