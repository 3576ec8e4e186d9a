//! What the results of several identities show together.

use super::evidence::{Fault, Row, RowKind};

/// The conclusion from all identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// A pull would succeed. `refused` are the credentials that the registry refuses.
    Works {
        /// True if a pull without a credential succeeds.
        public: bool,
        /// Names of identities that succeed.
        by: Vec<String>,
        /// Names of credentials that are refused.
        refused: Vec<String>,
    },
    /// The image is public, and every credential that a node would use fails.
    Poisoned {
        /// Names of the credentials.
        by: Vec<String>,
    },
    /// The row at this index shows the fault of a pull.
    Fails {
        /// The index into the rows.
        row: usize,
    },
}

/// Concludes. Nodes use a matching credential and never fall back to anonymous access, so credentials decide where there
/// are any. A fault of the content that an identity sees (an unknown tag) counts more than the refusal of another
/// identity.
pub fn access(rows: &[Row]) -> Access {
    let names = |test: &dyn Fn(&Row) -> bool| -> Vec<String> {
        rows.iter().filter(|row| test(row)).map(|row| row.name.clone()).collect()
    };
    let is_refused = |row: &Row| row.kind != RowKind::Anonymous && row.fault().is_some_and(refuses);
    let refused = names(&is_refused);
    let public = rows.iter().any(|row| row.kind == RowKind::Anonymous && row.works());
    let by = names(&Row::works);
    let credentials = || (0..rows.len()).filter(|at| rows[*at].kind != RowKind::Anonymous);
    let failing = credentials().find(|at| rows[*at].fault().is_some());
    match failing {
        None if public => return Access::Works { public, by, refused },
        _ if credentials().any(|at| rows[at].works()) => return Access::Works { public, by, refused },
        Some(_) if public && !refused.is_empty() => return Access::Poisoned { by: refused },
        Some(row) if public => return Access::Fails { row },
        _ => {}
    }
    let rank = |row: &Row| row.fault().map_or(3, |fault| if refuses(fault) { 1 } else { 0 });
    // Among refusals, that of a credential counts, since a node would use it.
    let key = |row: &Row| (rank(row), u8::from(row.kind == RowKind::Anonymous));
    let row = (0..rows.len()).min_by_key(|at| key(&rows[*at])).unwrap_or(0);
    Access::Fails { row }
}

/// True if the fault is a refusal of the identity.
fn refuses(fault: &Fault) -> bool {
    fault.class.rules().refuses_identity
}

#[cfg(test)]
mod tests {
    use oci::{Class, Stage};

    use super::super::evidence::Depth;
    use super::*;

    fn row(kind: RowKind, class: Option<Class>) -> Row {
        let name = match kind {
            RowKind::Anonymous => "anonymous",
            RowKind::Configured => "configured",
            RowKind::Given => "given",
        };
        let result = class.map_or(Ok(Depth::Pullable), |class| Err(Fault::new(class, Stage::Token)));
        Row { name: name.to_owned(), kind, result: Some(result), token: true }
    }

    #[test]
    fn the_table_of_credentials_has_one_conclusion_per_case() {
        use Class::{AuthMissing, AuthRejected, ManifestUnknown, RateBurst, RateLogin, RepoUnknownOrPrivate};
        use RowKind::{Anonymous, Configured, Given};
        let works = |public, by: &[&str], refused: &[&str]| Access::Works {
            public,
            by: by.iter().map(ToString::to_string).collect(),
            refused: refused.iter().map(ToString::to_string).collect(),
        };
        for (rows, expected) in [
            (vec![(Anonymous, None)], works(true, &["anonymous"], &[])),
            (vec![(Anonymous, None), (Given, None)], works(true, &["anonymous", "given"], &[])),
            (
                vec![(Anonymous, None), (Given, Some(AuthRejected))],
                Access::Poisoned { by: vec!["given".to_owned()] },
            ),
            (
                vec![(Anonymous, None), (Given, Some(AuthRejected)), (Configured, None)],
                works(true, &["anonymous", "configured"], &["given"]),
            ),
            (vec![(Anonymous, Some(AuthMissing)), (Given, None)], works(false, &["given"], &[])),
            (
                vec![(Anonymous, Some(AuthMissing)), (Given, None), (Configured, Some(AuthRejected))],
                works(false, &["given"], &["configured"]),
            ),
            (vec![(Anonymous, Some(AuthMissing))], Access::Fails { row: 0 }),
            (vec![(Anonymous, Some(RepoUnknownOrPrivate))], Access::Fails { row: 0 }),
            (vec![(Anonymous, Some(AuthMissing)), (Given, Some(AuthRejected))], Access::Fails { row: 1 }),
            (
                vec![(Anonymous, Some(RepoUnknownOrPrivate)), (Given, Some(RepoUnknownOrPrivate))],
                Access::Fails { row: 1 },
            ),
            (vec![(Anonymous, Some(AuthMissing)), (Given, Some(ManifestUnknown))], Access::Fails { row: 1 }),
            (vec![(Anonymous, Some(ManifestUnknown)), (Given, Some(AuthRejected))], Access::Fails { row: 0 }),
            (vec![(Anonymous, Some(Class::Dns))], Access::Fails { row: 0 }),
            (vec![(Anonymous, None), (Given, Some(RateLogin))], Access::Fails { row: 1 }),
            (vec![(Anonymous, Some(RateBurst)), (Given, Some(RateLogin))], Access::Fails { row: 1 }),
        ] {
            let made: Vec<_> = rows.iter().map(|(kind, class)| row(*kind, *class)).collect();
            assert_eq!(access(&made), expected, "{rows:?}");
        }
    }

    #[test]
    fn a_walk_that_was_not_made_decides_nothing() {
        let skipped = Row { result: None, ..row(RowKind::Given, None) };
        let rows = [row(RowKind::Anonymous, Some(Class::Dns)), skipped];
        assert_eq!(access(&rows), Access::Fails { row: 0 });
    }
}
