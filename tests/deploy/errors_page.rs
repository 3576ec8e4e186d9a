//! The table of failure classes in `docs/errors.md`, compared with the classes of the code.

use oci::Class;
use oci::class::Side;

use crate::files;

const PAGE: &str = "docs/errors.md";
const BEGIN: &str =
    "<!-- classes: `UPDATE=1 cargo test -p pullgate --test deploy errors_page` writes this table -->\n";
const END: &str = "<!-- end of classes -->\n";

#[test]
fn the_page_lists_every_class_with_its_side_and_its_advice() {
    let page = files::text(PAGE);
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(files::path(PAGE), &wanted).unwrap();
    } else {
        assert!(page == wanted, "{PAGE} is out of date; its first comment says how to write it anew");
    }
}

fn table() -> String {
    let rows = Class::ALL.iter().map(|class| {
        let side = match class.rules().side {
            Side::Upstream => "the registry, or the network to it",
            Side::Client => "the client: its request or its node",
            Side::Ours => "pullgate, its configuration or its machine",
        };
        format!("| <a id=\"{class}\"></a>`{class}` | {side} | {} |\n", class.fix())
    });
    format!("| Class | Who has to act | What to do |\n|---|---|---|\n{}", rows.collect::<String>())
}
