//! Files with one source: the kustomize base, and the chart's rules and dashboards.

use support::Scratch;

use crate::files;

#[test]
fn generated_files_are_those_of_make_manifests() {
    let scratch = Scratch::new();
    let script = files::path("deploy/manifests");
    files::run(&files::path("."), script.to_str().unwrap(), &[scratch.path().to_str().unwrap()]);
    for (made, kept) in [
        ("kubernetes", "deploy/kubernetes"),
        ("files", "deploy/chart/files"),
        ("files/dashboards", "deploy/chart/files/dashboards"),
    ] {
        let mut compared = 0;
        for entry in std::fs::read_dir(scratch.path().join(made)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_str().unwrap();
                let made = std::fs::read_to_string(&path).unwrap();
                assert_eq!(files::text(&format!("{kept}/{name}")), made, "run `make manifests`");
                compared += 1;
            }
        }
        assert!(compared > 0, "{made}");
    }
    let dashboards = "dashboards";
    assert_eq!(
        files::names(&format!("deploy/chart/files/{dashboards}")),
        files::names(&format!("deploy/monitoring/{dashboards}"))
    );
}
