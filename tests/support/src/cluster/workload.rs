//! The images of the tests' pods: one small static program, compiled at the first use.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use bytes::Bytes;
use loadtest::image::{Image, ImageBuilder, Layer};

use crate::host::parts;

/// An image whose container runs until it is told to end. As command it accepts `["/workload", "3"]`, to exit with the
/// code 3. Images of different seeds share no layer.
pub fn image(seed: u64) -> Image {
    builder(seed).finish()
}

/// Like [`image`], to be extended with more layers, another platform and so on.
pub fn builder(seed: u64) -> ImageBuilder {
    let layer = Layer::new().program("workload", program()).file("etc/seed", 64);
    Image::builder(seed).command("/workload").layer(layer)
}

fn program() -> Bytes {
    static PROGRAM: OnceLock<Bytes> = OnceLock::new();
    PROGRAM.get_or_init(compile).clone()
}

fn compile() -> Bytes {
    let folder = tempfile::tempdir().expect("a folder to compile in");
    let (source, output) = (folder.path().join("workload.c"), folder.path().join("workload"));
    fs::write(&source, include_str!("workload.c")).expect("a source file");
    let mut compiler = Command::new(parts::installed("cc"));
    let done = compiler.args(["-static", "-Os", "-s", "-o"]).arg(&output).arg(&source).output();
    let done = done.expect("the compiler to run");
    assert!(done.status.success(), "cc: {}", String::from_utf8_lossy(&done.stderr));
    fs::read(output).expect("a program").into()
}
