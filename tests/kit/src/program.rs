//! Where the programs under test are, and the source that they were built from.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The path of the daemon: `METER_PROGRAM` if it is set, else the one that was built beside this executable.
///
/// # Panics
/// If no daemon is there.
#[track_caller]
pub fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| match env::var("METER_PROGRAM") {
        Ok(given) => expect_file(PathBuf::from(given), "METER_PROGRAM names no file"),
        Err(_) => beside_this("audience-meter"),
    })
}

/// The path of a program of this workspace that was built beside this executable, in `target/<profile>`.
#[track_caller]
fn beside_this(name: &str) -> String {
    let this = env::current_exe().unwrap();
    let folder = this.parent().unwrap();
    // Tests and benchmarks are in a folder below: target/<profile>/deps.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap() } else { folder };
    expect_file(folder.join(name), "it is not built: cargo build --workspace, with the profile of the tests")
}

#[track_caller]
fn expect_file(path: PathBuf, otherwise: &str) -> String {
    assert!(path.is_file(), "no program at {}: {otherwise}", path.display());
    path.into_os_string().into_string().unwrap()
}

/// The folder of the whole source, where README.md is.
#[must_use]
pub fn source() -> &'static Path {
    static SOURCE: OnceLock<PathBuf> = OnceLock::new();
    SOURCE.get_or_init(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap())
}
