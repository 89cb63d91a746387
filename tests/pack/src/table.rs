//! The table of options, as libraries take it.
//!
//! Owns the reading of a row's names. The words are those of `--help`.

use audience_meter::config::usage::{self, Row};
use clap::{Arg, ArgAction, Command, ValueHint};

use crate::NAME;

/// The program with all of its options, in their groups.
pub(crate) fn command() -> Command {
    let options =
        usage::GROUPS.iter().flat_map(|group| group.rows.iter().map(|row| option(row).help_heading(group.title)));
    Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(options)
}

/// One option of names such as `-w, --workers <num>`.
fn option(row: &Row) -> Arg {
    let names = row.names.split(' ').map(|name| name.trim_end_matches(','));
    names.fold(Arg::new(row.names).help(row.text).action(ArgAction::SetTrue), |option, name| {
        match (name.strip_prefix("--"), name.strip_prefix('-')) {
            (Some(long), _) => option.long(long),
            (None, Some(short)) => option.short(short.chars().next()),
            (None, None) => {
                let value = name.trim_matches(['<', '>']);
                let hint = if value == "path" { ValueHint::FilePath } else { ValueHint::Other };
                option.value_name(value).value_hint(hint).action(ArgAction::Set)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_of_the_table_is_there_with_its_names_and_its_value() {
        let command = command();
        command.clone().debug_assert();
        let longs: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
        assert!(longs.iter().copied().eq(usage::options().map(|name| name.trim_start_matches('-'))));
        let of = |long: &str| command.get_arguments().find(|option| option.get_long() == Some(long)).unwrap().clone();
        let workers = of("workers");
        assert_eq!((workers.get_short(), workers.get_help_heading()), (Some('w'), Some("Options")));
        assert_eq!(workers.get_value_names().unwrap()[0], "num");
        assert_eq!((of("debug").get_action().takes_values(), workers.get_action().takes_values()), (false, true));
        assert_eq!(of("report-file").get_value_hint(), ValueHint::FilePath);
    }
}
