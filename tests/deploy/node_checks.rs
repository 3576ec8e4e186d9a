//! The pages of the findings about nodes in `docs/checks`, compared with the list of codes.

use std::collections::BTreeSet;

use node::Code;

use crate::files;

const FOLDER: &str = "docs/checks";

/// `UPDATE=1 cargo test -p pullgate --test deploy node_checks` writes them.
#[test]
fn every_code_about_nodes_has_its_page() {
    for code in Code::ALL {
        let page = format!("{FOLDER}/{code}.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(files::path(FOLDER)).unwrap();
            std::fs::write(files::path(&page), code.document()).unwrap();
        }
        assert_eq!(files::text(&page), code.document(), "{page} is out of date: set UPDATE=1 once");
    }
    let pages: BTreeSet<_> =
        files::names(FOLDER).into_iter().filter(|name| name.starts_with("PG04")).collect();
    let wanted: BTreeSet<_> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
    assert_eq!(pages, wanted);
}

#[test]
fn the_page_about_nodes_names_every_code() {
    let page = files::text("docs/nodes.md");
    for code in Code::ALL {
        assert!(page.contains(&format!("[{code}](checks/{code}.md)")), "{code}");
    }
}
