//! The warning about a refused configuration file, which stays until a later version of the file takes effect.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use crate::admin::human::age;

/// The refused reload, if the present file is not in effect. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(Arc<ArcSwapOption<Refusal>>);

#[derive(Debug)]
struct Refusal {
    message: String,
    since: Instant,
}

impl Refused {
    /// Notes that the file `path` was refused for `reason`.
    pub(crate) fn set(&self, path: &Path, reason: &str) {
        let message = format!("{} is not in effect: {reason}", path.display());
        self.0.store(Some(Arc::new(Refusal { message, since: Instant::now() })));
    }

    /// Notes that the file is in effect.
    pub(crate) fn clear(&self) {
        self.0.store(None);
    }

    /// The warning, in one line.
    pub(crate) fn warning(&self) -> Option<String> {
        let refusal = self.0.load_full()?;
        let since = age(refusal.since.elapsed().as_secs());
        Some(format!(
            "{} (refused {since} ago; the configuration before it stays in effect)",
            refusal.message
        ))
    }
}

/// The problems of a report in one line: the first, and the number of the others.
pub(crate) fn in_one_line(report: &config::Report) -> String {
    let mut problems = report.problems().iter();
    let Some(first) = problems.next() else { return String::new() };
    let place = if first.line > 0 { format!("line {}: ", first.line) } else { String::new() };
    let others = match problems.count() {
        0 => String::new(),
        1 => ", and 1 more problem".to_owned(),
        more => format!(", and {more} more problems"),
    };
    format!("{place}{}{others}", first.message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_file_is_a_warning_until_a_later_one_takes_effect() {
        let refused = Refused::default();
        assert_eq!(refused.warning(), None);
        let report = config::parse("lisen = 1\nprober = 2\n", Path::new("/x.toml")).unwrap_err();
        refused.set(Path::new("/x.toml"), &in_one_line(&report));
        assert_eq!(
            refused.warning().unwrap(),
            "/x.toml is not in effect: line 1: unknown key `lisen` in the top level, and 1 more problem \
             (refused 0 s ago; the configuration before it stays in effect)"
        );
        refused.clear();
        assert_eq!(refused.warning(), None);
    }
}
