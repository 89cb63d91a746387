//! The rooms: how a file opens, how long it is, and what the top level holds.
//!
//! Owns the limits.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::source::Source;
use super::{Check, finds, offences_of, root};

pub(super) const CHECKS: &[Check] = &[opening, length];

/// The most lines that a file may have before its tests.
const LINES_MAX: usize = 400;

/// Where files may be longer than that.
const LONG: [&str; 1] = ["tests/it/"];

/// What the repository's top level may hold, dotfiles apart.
const TOP_LEVEL: [&str; 8] = ["Cargo.toml", "Cargo.lock", "src", "client", "fuzz", "tests", "README.md", "LICENSE"];

fn opening(source: &Source) -> Vec<String> {
    let opens = source.text.starts_with("//!");
    if opens { Vec::new() } else { vec![source.offence(1, "a file opens with //!")] }
}

fn length(source: &Source) -> Vec<String> {
    let all_tests = source.path.ends_with("/tests.rs") || LONG.iter().any(|folder| source.path.starts_with(folder));
    let lines = source.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
    if lines <= LINES_MAX || all_tests {
        return Vec::new();
    }
    vec![source.offence(lines, &format!("{lines} lines, {LINES_MAX} at most"))]
}

/// The entries of the top level that do not belong there.
fn strangers<'a>(files: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let entries = files.into_iter().map(|file| file.split('/').next().unwrap_or(file));
    entries.filter(|entry| !entry.starts_with('.') && !TOP_LEVEL.contains(entry)).collect()
}

#[test]
fn the_top_level_holds_nothing_else() {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let listed = listed.ok().filter(|output| output.status.success());
    let names = match listed {
        Some(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        // An unpacked archive, where git lists nothing: all entries, without what a build leaves.
        None => fs::read_dir(root()).unwrap().fold(String::new(), |names, entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            names + if name == "target" { "" } else { &name } + "\n"
        }),
    };
    let names = names.lines().filter(|name| !name.is_empty());
    assert_eq!(strangers(names), BTreeSet::new());
}

#[test]
fn a_file_that_is_too_long_or_does_not_say_what_it_owns_is_found() {
    let lines = "fn f() {}\n".repeat(LINES_MAX - 1);
    finds("src/meter/a.rs", &lines, &[]);
    for path in ["src/meter/a.rs", "tests/kit/src/a.rs", "tests/load/src/a.rs"] {
        finds(path, &format!("{lines}\n"), &["401 lines, 400 at most"]);
    }
    finds("src/meter/a.rs", &format!("{lines}#[cfg(test)]\nmod tests {{}}\n{lines}"), &[]);
    assert_eq!(offences_of("src/meter/a.rs", "// A file.\n").len(), 1);
    assert_eq!(offences_of("tests/it/a.rs", "").len(), 1);
}

#[test]
fn a_stranger_at_the_top_level_is_found() {
    let belongs =
        [".ci/run", ".gitignore", "Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "src/lib.rs", "tests/it/main.rs"];
    assert_eq!(strangers(belongs), BTreeSet::new());
    let strange = ["docs/a.md", "docs/b.md", "src/lib.rs", "build.rs", "target/debug/x"];
    assert_eq!(strangers(strange), BTreeSet::from(["docs", "build.rs", "target"]));
}
