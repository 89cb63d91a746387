//! The words of the project: what no line may say, and how the manual reads.
//!
//! | file | owns |
//! |---|---|
//! | `words` | words and turns of phrase that have a plainer one, through the sources, the client and the manual |
//! | `events` | the events of the log, and their table in the manual |
//! | `exceptions` | where such a word stays, each with its reason |
//! | `sentences` | how long the sentences of the manual are |
//! | `links` | options, links and anchors of the manual |
//!
//! `cargo test --workspace --test it -- house::prose --nocapture` prints every offence, and counts per folder.

mod events;
mod exceptions;
mod links;
mod sentences;
mod words;

use super::{File, tree};

/// What a reader reads before anything else: the front pages and the manual.
fn manual() -> Vec<File> {
    let mut files = tree(&["README.md", "client/README.md", "src/manual"], &["md"]);
    files.sort_by_key(|file| file.path.starts_with("src/"));
    files
}

/// Text without what is shown as code: fences and indented blocks become empty lines, so that numbers of lines stay.
fn without_blocks(text: &str) -> String {
    let mut in_fence = false;
    let mut was_blank = true;
    let mut in_block = false;
    let keep = |line: &str| {
        let begins_or_ends = line.trim_start().starts_with("```");
        in_fence ^= begins_or_ends;
        in_block = line.starts_with("    ") && (was_blank || in_block) && !in_list_item(line);
        was_blank = line.trim().is_empty();
        let kept = if begins_or_ends || in_fence || in_block { "" } else { line };
        kept.to_owned() + "\n"
    };
    text.lines().map(keep).collect()
}

/// Whether an indented line begins an item of a list inside another.
fn in_list_item(line: &str) -> bool {
    line.trim_start().starts_with(['-', '*', '|'])
}
