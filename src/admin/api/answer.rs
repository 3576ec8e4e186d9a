//! From a path and its parameters to a document, or to an error that says what to do.

use std::path::PathBuf;
use std::time::SystemTime;

use http::StatusCode;
use records::query::QueryError;
use records::{Page, Reader, Timestamp};
use serde::Serialize;

use super::documents::{History, IncidentPage, Problem, PullPage, Savings};
use super::openapi;
use super::question::{Parameters, QuestionError};
use crate::admin::reading::{self, ReadingError};
use crate::incidents::document::Incident;
use crate::pulls::document::WholePull;
use crate::pulls::one::OnePull;

/// The record file of this process, as the API may show it.
#[derive(Clone)]
pub(crate) struct Api {
    /// The file; `None` if records are off.
    pub(crate) file: Option<PathBuf>,
    /// True if names of images, clients and nodes may be shown.
    pub(crate) names: bool,
}

/// A status code and a JSON document.
pub(crate) struct ApiAnswer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

/// The reason that a request has no document.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error("there is nothing at this path; /api/v1/openapi.json describes what there is")]
    Path,
    #[error("{0}")]
    Question(#[from] QuestionError),
    #[error("{0}")]
    Reading(#[from] ReadingError),
}

impl Api {
    /// Answers a path below `/api/v1/`.
    pub(crate) async fn answer(self, path: String, query: String) -> ApiAnswer {
        match reading::aside(move || self.document(&path, &query)).await {
            Ok(body) => ApiAnswer { status: StatusCode::OK, body },
            Err(error) => {
                ApiAnswer { status: error.status(), body: json(&Problem { error: error.to_string() }) }
            }
        }
    }

    fn document(&self, path: &str, query: &str) -> Result<String, ApiError> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            ["openapi.json"] => Ok(json(&openapi::document())),
            ["pulls"] => self.pulls(query),
            ["pulls", id] => self.pull(id, query),
            ["incidents"] => self.incidents(query),
            ["incidents", id] => self.incident(id, query),
            ["registries", registry, "history"] => self.history(registry, query),
            ["savings"] => self.savings(query),
            _ => Err(ApiError::Path),
        }
    }

    fn reader(&self) -> Result<Reader, ApiError> {
        Ok(reading::open(self.file.as_deref())?)
    }

    fn pulls(&self, query: &str) -> Result<String, ApiError> {
        let parameters = Parameters::read(query)?;
        let filter = parameters.filter(self.names)?;
        let Page { pulls, next } = self.reader()?.pulls(&filter)?;
        let next = next.map(|cursor| parameters.next("pulls", (filter.since, filter.until), cursor));
        Ok(json(&PullPage::of(&pulls, next, self.names)))
    }

    fn pull(&self, id: &str, query: &str) -> Result<String, ApiError> {
        Parameters::read(query)?.only(&[])?;
        let OnePull { pull, median } = OnePull::read(&self.reader()?, id)?;
        Ok(json(&WholePull::of(&pull, median, self.names)))
    }

    fn incidents(&self, query: &str) -> Result<String, ApiError> {
        let parameters = Parameters::read(query)?;
        let filter = parameters.incidents()?;
        let page = self.reader()?.incidents(&filter)?;
        let next = page.next.map(|cursor| parameters.next("incidents", (filter.since, filter.until), cursor));
        Ok(json(&IncidentPage::of(&page.incidents, next, self.names)))
    }

    fn incident(&self, id: &str, query: &str) -> Result<String, ApiError> {
        Parameters::read(query)?.only(&[])?;
        Ok(json(&Incident::of(&self.reader()?.incident(id)?, self.names)))
    }

    fn history(&self, registry: &str, query: &str) -> Result<String, ApiError> {
        let (since, until) = Parameters::read(query)?.span(now())?;
        let quarters = self.reader()?.history(registry, since, until)?;
        Ok(json(&History::of(registry, &quarters)))
    }

    fn savings(&self, query: &str) -> Result<String, ApiError> {
        let (since, until) = Parameters::read(query)?.span(now())?;
        Ok(json(&Savings::of(since, until, &self.reader()?.savings(since, until)?)))
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::Reading(error.into())
    }
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Path | Self::Reading(ReadingError::Query(QueryError::NotFound(_))) => StatusCode::NOT_FOUND,
            Self::Question(QuestionError::Names(_)) => StatusCode::FORBIDDEN,
            Self::Question(_)
            | Self::Reading(ReadingError::Query(
                QueryError::Limit(_) | QueryError::Cursor | QueryError::Id(_) | QueryError::Ambiguous(_),
            )) => StatusCode::BAD_REQUEST,
            Self::Reading(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

fn json(document: &impl Serialize) -> String {
    serde_json::to_string(document).unwrap_or_default() + "\n"
}
