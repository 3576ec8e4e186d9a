//! The parameters of a request: parsed once, and refused with the name of what is wrong.

use std::time::Duration;

use records::query::{IncidentFilter, QueryError};
use records::{Cursor, Filter, Order, Timestamp};
use url::form_urlencoded;

use crate::incidents::words::class;
use crate::pulls::{read, words};

/// The parameters as they came, in their order.
pub(super) struct Parameters(Vec<(String, String)>);

/// The fault of a question that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum QuestionError {
    /// The path does not have the parameter.
    #[error("there is no parameter `{0}` here; the parameters are: {1}")]
    Unknown(String, String),
    /// A parameter came more than once.
    #[error("`{0}` is given twice")]
    Twice(String),
    /// The value cannot be read.
    #[error("`{0}`: {1}")]
    Value(&'static str, String),
    /// The parameter would reveal names.
    #[error("`{0}` asks for names, which are hidden here: see admin.names in the configuration")]
    Names(&'static str),
    /// The record file refuses it.
    #[error("{0}")]
    Query(#[from] QueryError),
}

impl Parameters {
    /// Reads the part of the URL after `?`.
    pub(super) fn read(query: &str) -> Result<Self, QuestionError> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for (at, (name, _)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(QuestionError::Twice(shown(name)));
            }
        }
        Ok(Self(pairs))
    }

    /// The filter of a list of pulls.
    pub(super) fn filter(&self, names: bool) -> Result<Filter, QuestionError> {
        self.only(FILTERS)?;
        if let Some(name) = ["image", "node"].into_iter().find(|name| !names && self.get(name).is_some()) {
            return Err(QuestionError::Names(name));
        }
        Ok(Filter {
            since: self.parsed("since", read::since)?,
            until: self.parsed("until", read::since)?,
            registry: self.get("registry").map(str::to_owned),
            image: self.get("image").map(str::to_owned),
            node: self.get("node").map(str::to_owned),
            outcome: self.parsed("outcome", read::outcome)?,
            failed: self.parsed("failed", flag)?.unwrap_or(false),
            order: self.parsed("order", order)?.unwrap_or_default(),
            limit: self.parsed("limit", read::limit)?.unwrap_or_default(),
            cursor: self.parsed("cursor", cursor)?,
        })
    }

    /// The filter of a list of incidents.
    pub(super) fn incidents(&self) -> Result<IncidentFilter, QuestionError> {
        self.only(INCIDENT_FILTERS)?;
        Ok(IncidentFilter {
            since: self.parsed("since", read::since)?,
            until: self.parsed("until", read::since)?,
            registry: self.get("registry").map(str::to_owned),
            class: self.parsed("class", class)?,
            active: self.parsed("active", flag)?,
            limit: self.parsed("limit", read::limit)?.unwrap_or_default(),
            cursor: self.parsed("cursor", cursor)?,
        })
    }

    /// The path of the next page. Times before now become dates, so that each page is of the same list.
    pub(super) fn next(
        &self,
        list: &str,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        cursor: Cursor,
    ) -> String {
        let mut next = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.0.iter().filter(|(name, _)| name != "cursor") {
            let time = match name.as_str() {
                "since" => since,
                "until" => until,
                _ => None,
            };
            next.append_pair(name, &time.map_or_else(|| value.clone(), words::precise_time));
        }
        next.append_pair("cursor", &cursor.to_string());
        format!("/api/v1/{list}?{}", next.finish())
    }

    /// Begin and end of a span of time: the last day, unless the request says otherwise.
    pub(super) fn span(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), QuestionError> {
        self.only(SPAN)?;
        let until = self.parsed("until", read::since)?.unwrap_or(now);
        let since = self.parsed("since", read::since)?.unwrap_or(until.earlier(DAY));
        let longest = until.earlier(SPAN_MAX);
        if since < longest {
            let message = format!("a span has at most {} days", SPAN_MAX.as_secs() / DAY.as_secs());
            return Err(QuestionError::Value("since", message));
        }
        Ok((since, until))
    }

    /// Refuses every parameter that is not among `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), QuestionError> {
        let unknown = self.0.iter().find(|(name, _)| !known.contains(&name.as_str()));
        match unknown {
            None => Ok(()),
            Some((name, _)) => {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(QuestionError::Unknown(shown(name), known))
            }
        }
    }

    fn get(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, QuestionError> {
        self.get(name).map(|text| parse(text).map_err(|why| QuestionError::Value(name, why))).transpose()
    }
}

fn cursor(text: &str) -> Result<Cursor, String> {
    text.parse::<Cursor>().map_err(|error| error.to_string())
}

fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "give true or false".to_owned())
}

fn order(text: &str) -> Result<Order, String> {
    match text {
        "newest" => Ok(Order::Newest),
        "slowest" => Ok(Order::Slowest),
        _ => Err("give newest or slowest".to_owned()),
    }
}

/// A name for a message, cut and without control characters.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(NAME_SHOWN).collect()
}

/// The parameters of a list of pulls.
pub(super) const FILTERS: &[&str] =
    &["since", "until", "registry", "image", "node", "outcome", "failed", "order", "limit", "cursor"];
/// The parameters of a list of incidents.
pub(super) const INCIDENT_FILTERS: &[&str] =
    &["since", "until", "registry", "class", "active", "limit", "cursor"];
/// The parameters of a span of time.
pub(super) const SPAN: &[&str] = &["since", "until"];
/// The span that is answered if none is given.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The longest span: it has nearly three thousand quarters of an hour.
const SPAN_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// Characters of an unknown name in a message.
const NAME_SHOWN: usize = 40;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refused(query: &str) -> String {
        let parameters = match Parameters::read(query) {
            Ok(parameters) => parameters,
            Err(error) => return error.to_string(),
        };
        parameters.filter(true).unwrap_err().to_string()
    }

    #[test]
    fn a_parameter_that_is_wrong_is_named_with_what_it_may_be() {
        for (query, parts) in [
            ("limit=-1", ["`limit`", "1"]),
            ("limit=x", ["`limit`", "whole number"]),
            ("since=1000000y", ["`since`", "at most"]),
            ("since=9999d", ["`since`", "at most"]),
            ("cursor=abc", ["`cursor`", ""]),
            ("outcome=good", ["`outcome`", "abandoned"]),
            ("failed=yes", ["`failed`", "true or false"]),
            ("order=oldest", ["`order`", "newest or slowest"]),
            ("imgae=x", ["`imgae`", "image"]),
            ("limit=1&limit=2", ["`limit`", "twice"]),
        ] {
            let message = refused(query);
            assert!(parts.iter().all(|part| message.contains(part)), "{query}: {message}");
        }
    }

    #[test]
    fn names_are_no_filter_where_they_are_hidden() {
        for query in ["image=app", "node=a"] {
            let parameters = Parameters::read(query).unwrap();
            assert!(parameters.filter(true).is_ok());
            let refused = parameters.filter(false).unwrap_err().to_string();
            assert!(refused.contains("admin.names"), "{refused}");
        }
    }

    #[test]
    fn a_span_is_the_last_day_and_no_longer_than_a_month() {
        let now = Timestamp::from_unix_millis(1_800_000_000_000);
        let span = |query: &str| Parameters::read(query).unwrap().span(now);
        assert_eq!(span("").unwrap(), (now.earlier(DAY), now));
        assert!(span("since=2020-01-01T00:00:00Z").unwrap_err().to_string().contains("31 days"));
        assert!(span("limit=3").is_err());
    }
}
