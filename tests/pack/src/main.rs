//! Writes what a package has beside the program: the man page, completions for bash, zsh and fish, and the notices of all that
//! is linked.
//!
//! Owns what each file is called in the folder of its argument. All are made: the first of the table of options, as `--help` is,
//! and the notices of what cargo says.
//!
//! | file | owns |
//! |---|---|
//! | `man` | the man page |
//! | `notices` | the notices of the program and of all that is linked into it |
//! | `table` | the table of options, as libraries take it |

#![expect(clippy::print_stderr, reason = "a program says what is wrong")]

mod man;
mod notices;
mod table;

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;

use clap_complete::{Shell, generate_to};

/// What the program is called, in its package and in its man page.
const NAME: &str = "audience-meter";

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(folder), Some(date), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: audience-pack <folder> <date of the man page, YYYY-MM-DD>");
        return ExitCode::from(2);
    };
    match write(Path::new(&folder), &date.to_string_lossy()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("audience-pack: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path, date: &str) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let mut command = table::command();
    man::write(&command, date, &mut File::create(folder.join(format!("{NAME}.1")))?)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, NAME, folder)?;
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    fs::write(folder.join("copyright"), notices::copyright(&manifest)?)?;
    Ok(())
}
