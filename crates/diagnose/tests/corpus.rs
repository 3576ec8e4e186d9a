//! Every text of the corpus gets the class, stage and host that it is known to tell.

mod support;

use support::{corpus, differences};

#[test]
fn every_sample_is_read_right() {
    let samples = corpus();
    assert!(samples.len() > 500, "the corpus has {} samples", samples.len());
    let wrong: Vec<String> = samples.iter().filter_map(differences).collect();
    assert!(wrong.is_empty(), "{} of {} are read wrong:\n{}", wrong.len(), samples.len(), wrong.join("\n"));
}
