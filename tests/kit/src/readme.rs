//! The blocks of README.md that tests run as they stand.

/// The text of README.md.
pub const README: &str = include_str!("../../../README.md");

/// The fenced block of the README that begins with this line, without its fence; `language` is what follows the backticks.
#[track_caller]
pub fn readme_block(language: &str, first_line: &str) -> String {
    let begin = format!("\n```{language}\n{first_line}");
    let mut parts = README.split(&begin);
    let (Some(_), Some(rest), None) = (parts.next(), parts.next(), parts.next()) else {
        panic!("not one block of {language} in README.md that begins with {first_line:?}")
    };
    format!("{first_line}{}\n", rest.split_once("\n```").unwrap().0)
}

/// The shell script of the README that begins with this line.
#[track_caller]
pub fn readme_script(first_line: &str) -> String {
    readme_block("sh", first_line)
}
