//! The rooms: how a file opens, how long it is, and what the top level holds.
//!
//! Owns the limits. A folder's table of modules is a map: a newcomer finds a room by its row, so a row that is missing and a
//! row without a room are offences both.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::source::Source;
use super::{Check, finds, offences_of, root};

pub(super) const CHECKS: &[Check] = &[opening, length, maps];

/// The most lines that a file may have before its tests.
const LINES_MAX: usize = 400;

/// What the repository's top level may hold, dotfiles apart.
const TOP_LEVEL: [&str; 8] = ["Cargo.toml", "Cargo.lock", "src", "client", "fuzz", "tests", "README.md", "LICENSE"];

fn opening(source: &Source) -> Vec<String> {
    let opens = source.text.starts_with("//!");
    if opens { Vec::new() } else { vec![source.offence(1, "a file opens with //!")] }
}

fn length(source: &Source) -> Vec<String> {
    let all_tests = source.path.ends_with("/tests.rs");
    let lines = source.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
    if lines <= LINES_MAX || all_tests {
        return Vec::new();
    }
    vec![source.offence(lines, &format!("{lines} lines, {LINES_MAX} at most"))]
}

/// Every module that a file declares has a row in the tables of its `//!`, and every row is a module.
fn maps(source: &Source) -> Vec<String> {
    let all_tests = source.product().is_some_and(|path| path.contains("/tests/") || path.ends_with("/tests.rs"));
    let modules = source.modules.iter().filter(|module| !module.in_tests && !all_tests);
    let modules = modules.collect::<Vec<_>>();
    let rows = rows_of(source.text);
    let missing = modules.iter().filter(|module| !module.is_inline && !rows.iter().any(|(_, row)| *row == module.name));
    let missing = missing.map(|module| source.offence(module.line, &format!("no row in //! for {}", module.name)));
    let stale = rows.iter().filter(|(_, row)| !modules.iter().any(|module| module.name == *row));
    let stale = stale.map(|(line, row)| source.offence(*line, &format!("a row for {row}, which is no module of this")));
    if modules.is_empty() { Vec::new() } else { missing.chain(stale).collect() }
}

/// What the tables of a file's `//!` list in a column headed `file`, `folder`, `module` or `room`, with the lines.
fn rows_of(text: &str) -> Vec<(usize, &str)> {
    let mut rows = Vec::new();
    let mut column = None;
    for (index, line) in text.lines().enumerate().take_while(|(_, line)| line.starts_with("//!")) {
        let cells = line.trim_start_matches("//!").trim().split('|').collect::<Vec<_>>();
        if cells.len() < 3 {
            column = None;
        } else if let Some(column) = column {
            // `name`, or [`name`]: every second piece is in backticks.
            let names = cells.get::<usize>(column).map_or("", |cell| cell).split('`').skip(1).step_by(2);
            rows.extend(names.map(|name| (index + 1, name.trim_end_matches(".rs").trim_end_matches('/'))));
        } else {
            column = cells.iter().position(|cell| ["file", "folder", "module", "room"].contains(&cell.trim()));
        }
    }
    rows
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
    for path in ["src/meter/a.rs", "tests/kit/src/a.rs", "tests/load/src/a.rs", "tests/it/a.rs"] {
        finds(path, &format!("{lines}\n"), &["401 lines, 400 at most"]);
    }
    finds("src/meter/a.rs", &format!("{lines}#[cfg(test)]\nmod tests {{}}\n{lines}"), &[]);
    assert_eq!(offences_of("src/meter/a.rs", "// A file.\n").len(), 1);
    assert_eq!(offences_of("tests/it/a.rs", "").len(), 1);
}

#[test]
fn a_module_without_a_row_and_a_row_without_a_module_are_found() {
    let table = "//! | folder | owns |\n//! |---|---|\n//! | `a` | all |\n//! | [`b`], `c.rs` | `d` |\n";
    finds("src/m/mod.rs", &format!("{table}mod a;\nmod b;\nmod c;"), &[]);
    finds("tests/kit/src/lib.rs", &format!("{table}mod a;\nmod b;\nmod c;\nmod d;"), &["rs:9: no row in //! for d"]);
    finds("src/m/mod.rs", &format!("{table}mod b;\nmod c;"), &["rs:4: a row for a"]);
    finds("src/m/mod.rs", &format!("{table}mod a;\nmod b;\npub mod c {{}}\nmod e {{}}\n#[cfg(test)]\nmod tests;"), &[]);
    let floors = "//! | no. | module | owns |\n//! |---|---|---|\n//! | 1 | `a` | `b` |\n//!\n//! | `c` | d |\n//! | `e` | f |\n";
    finds("src/lib.rs", &format!("{floors}mod a;"), &[]);
    finds("src/m/mod.rs", "mod a;", &["rs:2: no row in //! for a"]);
    finds("src/m/a.rs", table, &[]);
}

#[test]
fn a_stranger_at_the_top_level_is_found() {
    let belongs =
        [".ci/run", ".gitignore", "Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "src/lib.rs", "tests/it/main.rs"];
    assert_eq!(strangers(belongs), BTreeSet::new());
    let strange = ["docs/a.md", "docs/b.md", "src/lib.rs", "build.rs", "target/debug/x"];
    assert_eq!(strangers(strange), BTreeSet::from(["docs", "build.rs", "target"]));
}
