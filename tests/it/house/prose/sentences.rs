//! How long the sentences of the manual are.
//!
//! Owns the limits, and what a sentence is: it ends with a mark before a space, or with its paragraph. Tables, headings and
//! code are none; what is linked counts, where it leads does not.

use super::{manual, without_blocks};

/// The mean must stay below this many words.
const MEAN_BELOW: usize = 18;

/// The most words of a sentence.
const WORDS_MAX: usize = 35;

/// The sentences of a page of the manual, with the lines on which their paragraphs begin.
fn sentences_of(page: &str) -> Vec<(usize, String)> {
    let mut sentences = Vec::new();
    let mut paragraph = (1, String::new());
    let page = without_blocks(page);
    for (index, line) in page.lines().chain([""]).enumerate() {
        let text = line.trim();
        let item = text.strip_prefix("- ").or_else(|| text.strip_prefix("* ")).or_else(|| numbered(text));
        let is_prose = !text.is_empty() && !text.starts_with(['#', '|', '<', '!']);
        if !is_prose || item.is_some() {
            let (line, text) = std::mem::take(&mut paragraph);
            sentences.extend(split(&plain(&text)).into_iter().map(|sentence| (line, sentence)));
        }
        if is_prose {
            if paragraph.1.is_empty() {
                paragraph.0 = index + 1;
            }
            paragraph.1 += item.unwrap_or(text.trim_start_matches("> "));
            paragraph.1.push(' ');
        }
    }
    sentences
}

/// What follows `1. ` at the beginning of a line.
fn numbered(text: &str) -> Option<&str> {
    let (number, rest) = text.split_once(". ")?;
    number.parse::<u8>().ok().map(|_| rest)
}

/// Text without marks: a link is what is linked, a piece of code one word.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for (index, piece) in text.split('`').enumerate() {
        let code = index % 2 == 1;
        plain.push_str(if code { "code" } else { piece });
    }
    while let Some(start) = plain.find("](") {
        let end = plain[start..].find(')').map_or(plain.len(), |end| start + end + 1);
        plain.replace_range(start..end, "");
    }
    plain.replace(['[', ']', '*'], "")
}

fn split(paragraph: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    let mut words = paragraph.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let sentence = sentences.last_mut().unwrap();
        sentence.push_str(word);
        sentence.push(' ');
        let ends = word.trim_end_matches([')', '"', '”']).ends_with(['.', '!', '?']);
        let next_begins = words.peek().is_some_and(|next| !next.starts_with(char::is_lowercase));
        if ends && next_begins && !["e.g.", "i.e.", "etc.", "vs."].contains(&word) {
            sentences.push(String::new());
        }
    }
    sentences.retain(|sentence| word_count(sentence) > 0);
    sentences
}

fn word_count(sentence: &str) -> usize {
    sentence.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count()
}

#[test]
#[expect(clippy::print_stdout, reason = "the lengths are a report, for --nocapture")]
fn the_sentences_of_the_manual_are_short() {
    let (mut words, mut count, mut long) = (0, 0, Vec::new());
    for page in manual() {
        let sentences = sentences_of(&page.text);
        let lengths = sentences.iter().map(|(_, sentence)| word_count(sentence)).collect::<Vec<_>>();
        let sum = lengths.iter().sum::<usize>();
        let longest = lengths.iter().max().copied().unwrap_or_default();
        println!("{}: {} sentences, {sum} words, longest {longest}", page.path, lengths.len());
        (words, count) = (words + sum, count + lengths.len());
        let too_long = sentences.iter().filter(|(_, sentence)| word_count(sentence) > WORDS_MAX);
        long.extend(too_long.map(|(line, sentence)| {
            format!("{}:{line}: {} words, {WORDS_MAX} at most: {sentence}", page.path, word_count(sentence))
        }));
    }
    println!("{words} words in {count} sentences");
    assert!(long.is_empty(), "{long:#?}");
    assert!(count > 100 && words < MEAN_BELOW * count, "{words} words in {count} sentences: the mean must be below 18");
}

#[test]
fn sentences_are_told_apart() {
    let page = "# No sentence\n\nOne [link](http://a.b/c. D) here. Two of\nthem: `a. b`.\n\n- An item\n  goes on\n- 3. next\n\n    code. Code.\n\n\
        | a | b |\n\n```sh\ncode. Code.\n```\nAt 0.05 s, e.g. Two (or so!). \"Last.\" End";
    let sentences = sentences_of(page);
    let expected = [
        "One link here. ",
        "Two of them: code. ",
        "An item goes on ",
        "3. next ",
        "At 0.05 s, e.g. Two (or so!). ",
        "\"Last.\" ",
        "End ",
    ];
    assert_eq!(sentences.iter().map(|(_, sentence)| sentence.as_str()).collect::<Vec<_>>(), expected);
    assert_eq!(sentences[1].0, 3);
    assert_eq!(word_count("a – b, c-d."), 3);
}
