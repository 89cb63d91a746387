//! The blocks of README.md that tests run as they stand.

/// The shell script of the README that begins with this line.
#[track_caller]
pub fn readme_script(first_line: &str) -> String {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once(&format!("```sh\n{first_line}\n")).unwrap_or_else(|| panic!("{first_line}"));
    format!("{first_line}\n{}\n", rest.split_once("\n```").unwrap().0)
}
