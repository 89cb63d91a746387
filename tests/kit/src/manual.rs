//! The examples of README.md and of the manual, for tests that run them as they stand.
//!
//! A block may stand in several pages, for readers that opened one of them: all its copies are the same.

use std::collections::BTreeSet;
use std::fs;

use crate::program::source;

/// The text of a fenced block, by its language and by how its first line begins.
///
/// # Panics
/// If no page has it, or if two pages differ in it.
#[track_caller]
pub fn block(language: &str, beginning: &str) -> String {
    let fence = format!("\n```{language}\n{beginning}");
    let found: BTreeSet<String> = pages().iter().flat_map(|page| blocks_of(page, &fence, beginning)).collect();
    let mut found = found.into_iter();
    let (Some(block), None) = (found.next(), found.next()) else {
        panic!("not one {fence:?} in README.md and src/manual");
    };
    block
}

fn blocks_of(page: &str, fence: &str, beginning: &str) -> Vec<String> {
    let ends = page.split(fence).skip(1).map(|rest| rest.split("\n```").next().unwrap());
    ends.map(|rest| format!("{beginning}{rest}\n")).collect()
}

/// README.md and every page of the manual.
fn pages() -> Vec<String> {
    let manual = fs::read_dir(source().join("src/manual")).unwrap();
    let paths =
        manual.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    paths.chain([source().join("README.md")]).map(|path| fs::read_to_string(path).unwrap()).collect()
}
