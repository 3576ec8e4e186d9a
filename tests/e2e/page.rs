//! The status page and the pages of single pulls: what they say of real pulls, and for whom they can be used.

use std::path::Path;

use loadtest::image::Image;
use loadtest::registry::Registry;
use support::http::Answer;
use support::{Chromium, Pullgate, Scratch, http};

use crate::setup::{BIN, Records, after_pulls, cache, config};

/// A pullgate that served a miss and a hit and failed a pull, and its registry.
struct World {
    pullgate: Pullgate,
    _registry: Registry,
    records: Records,
    scratch: Scratch,
}

impl World {
    async fn busy(more: &str) -> Self {
        let scratch = Scratch::new();
        let image = Image::with_layers(92, &[2_000_000, 5000]);
        let (registry, pullgate, records) = after_pulls(&scratch, &image, 2, more).await;
        Self { pullgate, _registry: registry, records, scratch }
    }

    async fn get(&self, path: &str) -> Answer {
        http::get(self.pullgate.admin(), path).send().await
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, Some("text/html; charset=utf-8"))
        );
        let policy = answer.header("content-security-policy").unwrap();
        assert_eq!(policy, "default-src 'none'; style-src 'unsafe-inline'");
        let text = answer.text();
        assert!(text.len() < 60_000, "{path} has {} bytes", text.len());
        for foreign in ["<script", "javascript:", "onload=", "src=", "@import", "href=\"http"] {
            assert!(!text.contains(foreign), "{foreign} is on {path}");
        }
        text
    }

    /// The path of the pull with this outcome.
    async fn path_of(&self, outcome: &str) -> String {
        let pull = self.records.pulls(&["--outcome", outcome]).await.remove(0);
        format!("/pulls/{}", pull["id"].as_str().unwrap())
    }
}

#[tokio::test]
async fn the_home_page_shows_registries_with_their_day_and_links_each_pull_to_its_waterfall() {
    let world = World::busy("").await;
    let home = world.page("/").await;
    for told in [
        "1 of 1 registries failing: registry.test",
        "failing: registry_5xx",
        "3 pulls in the last 24 hours, failures in 1 quarter",
        "registry_5xx (1) of ",
        "First byte, 6 h",
        "Slowest pulls of the last day",
        "Failed pulls of the last day",
        "registry.test/library/none:1",
        "not asked of the registries",
        "Counted pulls",
        "objects, ",
    ] {
        assert!(home.contains(told), "{told:?} is not on the page:\n{home}");
    }
    assert!(!home.contains("http-equiv"), "the page changes only if its reader wants it to");
    assert!(world.page("/?refresh").await.contains("http-equiv=\"refresh\""));

    for outcome in ["miss", "hit", "failed"] {
        let path = world.path_of(outcome).await;
        assert!(home.contains(&format!("href=\"{path}\"")), "{outcome} is linked");
        assert!(world.page(&path).await.contains(outcome));
    }
    let miss = world.page(&world.path_of("miss").await).await;
    assert_eq!(miss.matches("<g class=\"object\">").count(), 4, "manifest, config, two layers: {miss}");
    assert_eq!(miss.matches("<tr>").count(), 5, "the head and a row for each object");
    for told in ["Waterfall of 4 objects", "hatch", "library/app:1", "127.0.0.1", "1.9 MiB"] {
        assert!(miss.contains(told), "{told:?} is not on the page:\n{miss}");
    }
    let unknown = world.get("/pulls/01900000-0000-7000-8000-000000000000").await;
    assert_eq!(unknown.status.as_u16(), 404);
    assert!(unknown.text().contains("retention may have removed it"));
    assert_eq!(world.get("/pulls/%3Cscript%3E").await.status.as_u16(), 404);
}

#[tokio::test]
async fn names_that_are_hidden_are_on_no_page_of_a_pull() {
    let world = World::busy("admin.names = false\n").await;
    let mut paths = vec!["/".to_owned()];
    for outcome in ["miss", "hit", "failed"] {
        paths.push(world.path_of(outcome).await);
    }
    for path in paths {
        let text = world.page(&path).await;
        for name in ["library/", "127.0.0.1", "sha256"] {
            assert!(!text.contains(name), "{path} shows {name}: {text}");
        }
    }
}

#[tokio::test]
async fn a_record_file_that_is_off_or_damaged_costs_one_line_of_the_page() {
    let scratch = Scratch::new();
    let off = Pullgate::start(BIN, &scratch, &(config(&scratch) + "[records]\nenabled = false\n")).await;
    let home = http::get(off.admin(), "/").send().await;
    assert_eq!(home.status.as_u16(), 200);
    assert!(home.text().contains("records are off"), "{}", home.text());
    let pull = http::get(off.admin(), "/pulls/0190").send().await;
    assert_eq!(pull.status.as_u16(), 503);
    assert!(pull.text().contains("records are off"));

    let world = World::busy("").await;
    let file = cache(&world.scratch).join("records.db");
    // SQLite would repair the file from its write-ahead log.
    for part in ["records.db", "records.db-wal"] {
        std::fs::rename(file.with_file_name(part), world.scratch.path().join(part)).unwrap();
    }
    std::fs::write(&file, vec![7; 9000]).unwrap();
    let home = world.page("/").await;
    assert!(home.contains("No pulls to show: ") && home.contains("registry.test"), "{home}");
}

/// axe-core finds nothing against either page in headless Chromium: light on a wide screen, dark on a narrow one.
#[tokio::test]
async fn the_pages_have_no_violation_of_accessibility() {
    let world = World::busy("").await;
    for (name, path) in [("home", "/".to_owned()), ("pull", world.path_of("miss").await)] {
        let page = world.page(&path).await;
        for scheme in ["light", "dark"] {
            let found = violations(&world.scratch, &format!("{name}-{scheme}"), &page, scheme).await;
            assert_eq!(found, "[]", "{path} in {scheme}");
        }
    }
}

/// The violations that axe-core finds, as JSON. The test adds the script: pages have none.
async fn violations(scratch: &Scratch, name: &str, page: &str, scheme: &str) -> String {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join(".parts/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(axe).expect("axe-core, which tests/setup installs");
    // `</` would end the script; headless Chromium has no switch for the scheme that a page prefers.
    let axe = axe.replace("</script", "<\\/script");
    let page = match scheme {
        "dark" => {
            page.replace("@media(prefers-color-scheme:dark)", "@media all").replace("light dark", "dark")
        }
        _ => page.to_owned(),
    };
    let run_axe = "axe.run().then(r=>{document.title='AXE'+JSON.stringify(r.violations.map(v=>[v.id,v.nodes.map(n=>n.html)]))+'END'})";
    let page = page.replace("</body>", &format!("<script>{axe}</script><script>{run_axe}</script></body>"));
    let file = scratch.file(&format!("{name}.html"), &page);
    let width = if scheme == "dark" { 500 } else { 1200 };
    let dom = Chromium::new(scratch).document(&format!("file://{}", file.display()), width).await;
    let found = dom.split("AXE[").nth(1).and_then(|rest| rest.split("END").next());
    format!("[{}", found.unwrap_or_else(|| panic!("axe did not run: {}", &dom[..dom.len().min(2000)])))
}
