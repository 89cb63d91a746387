//! What is read instead of run: the sources, and the corpus of the fuzzers. Each house rule is a function from paths and
//! texts to offences, and each is tested on snippets that offend.
//!
//! | file | owns |
//! |---|---|
//! | `source` | one file as the checks see it: its names with their lines, its modules, uses and impls |
//! | `corpus` | the committed inputs of the fuzz targets, replayed |
//! | `names` | the files of a crate, and to which of them each path leads |
//! | `arrows` | inside the floors: which room may name which, no circle of files, a struct's methods in its own file |
//! | `layers` | the floors of `src/`: imports run down, and pure floors name neither sockets nor clocks |
//! | `prose` | how the manual reads, and whether it is complete |
//! | `places` | where unsafe code, `polling`, trees of JSON, printing, clocks and files belong |
//! | `rooms` | how a file opens, how long it is, what the tables of modules list, what the top level holds |
//!
//! The checks see code, not words: comments and the contents of literals are no names. Invariant: a check reads nothing
//! but its arguments; [`tree`] alone reads the disk.

mod arrows;
mod corpus;
mod layers;
mod names;
mod places;
mod prose;
mod rooms;
mod source;

use std::fs;
use std::path::Path;

use source::Source;
use walkdir::WalkDir;

/// The folders of the workspace that hold Rust.
const CODE: [&str; 5] = ["src", "tests/kit", "tests/load", "tests/it", "fuzz"];

/// Where the package is.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository: its path from the root, and its text.
struct File {
    path: String,
    text: String,
}

/// Every file below these folders with one of these extensions, in the order of their paths.
fn tree(folders: &[&str], extensions: &[&str]) -> Vec<File> {
    let below = |folder: &&str| {
        let walk = WalkDir::new(root().join(folder)).into_iter();
        let entries = walk.filter_entry(|entry| entry.file_name() != "target");
        entries.map(|entry| entry.unwrap().into_path()).collect::<Vec<_>>()
    };
    let mut paths = folders.iter().flat_map(below).collect::<Vec<_>>();
    paths.retain(|path| path.is_file());
    paths.retain(|path| path.extension().is_some_and(|own| extensions.iter().any(|one| own == *one)));
    paths.sort();
    let read = |path: &Path| File {
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    paths.iter().map(|path| read(path)).collect()
}

/// Every offence of one file on its own.
fn offences_of(path: &str, text: &str) -> Vec<String> {
    let source = Source::read(path, text);
    let checks = [layers::CHECKS, places::CHECKS, rooms::CHECKS].concat();
    checks.iter().flat_map(|check| check(&source)).collect()
}

/// A check of one file.
type Check = fn(&Source) -> Vec<String>;

#[test]
fn every_source_file_keeps_the_house_rules() {
    let files = tree(&CODE, &["rs"]);
    assert!(files.len() > 100, "{} files", files.len());
    let offences = files.iter().flat_map(|file| offences_of(&file.path, &file.text)).collect::<Vec<_>>();
    assert!(offences.is_empty(), "{offences:#?}");
}

/// Fails unless the file has exactly these offences, each given by a part of it.
#[track_caller]
fn finds(path: &str, code: &str, parts: &[&str]) {
    let offences = offences_of(path, &format!("//! A file.\n{code}"));
    same(&offences, parts);
}

/// Fails unless these are the offences, each given by a part of it.
#[track_caller]
fn same(offences: &[String], parts: &[&str]) {
    assert_eq!(offences.len(), parts.len(), "{parts:?}\n{offences:#?}");
    for (offence, part) in offences.iter().zip(parts) {
        assert!(offence.contains(part), "{part:?} in {offence:?}");
    }
}
