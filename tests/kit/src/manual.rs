//! The examples of README.md and of the manual, for tests that run them as they stand.
//!
//! A block may stand in several pages, for readers that opened one of them: all its copies are the same.

use std::collections::BTreeSet;
use std::fs;

use crate::program::source;

/// The text of a fenced block, by its language and its beginning.
///
/// # Panics
/// If no page has it, or if two pages differ in it.
#[track_caller]
pub fn block(language: &str, beginning: &str) -> String {
    let pages = pages();
    let blocks = pages.iter().flat_map(|page| blocks_of(page));
    let fits = blocks.filter(|(of, text)| *of == language && text.starts_with(beginning)).map(|(_, text)| text);
    let mut found = fits.collect::<BTreeSet<_>>().into_iter();
    let (Some(block), None) = (found.next(), found.next()) else {
        panic!("not one block of {language} in README.md and src/manual that begins with {beginning:?}");
    };
    block
}

/// All fenced blocks of a page, with their languages.
fn blocks_of(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language, String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, text))) => text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks
}

/// README.md and every page of the manual.
fn pages() -> Vec<String> {
    let manual = fs::read_dir(source().join("src/manual")).unwrap();
    let paths =
        manual.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    paths.chain([source().join("README.md")]).map(|path| fs::read_to_string(path).unwrap()).collect()
}
