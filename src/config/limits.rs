//! How much of everything there may be.
//!
//! Owns the limits that have an option. What happens past each is said where it is enforced, and in the manual.

use std::ffi::OsString;
use std::num::NonZeroU32;

use super::options::{Options, UsageError, parse_limit};
use crate::meter::NAME_MAX;

/// How much of everything there may be, in each process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Members; `None` is the number that the descriptors allow.
    pub members: Option<usize>,
    /// Connections of the audience port whose head is not whole.
    pub heads: usize,
    /// The length of a namespace's name and of a uuid, in bytes.
    pub name_length: usize,
    /// Members of one address that are counted; `None` is all of them.
    pub per_address: Option<usize>,
    /// Namespaces that there are now and one address has made; `None` is no limit.
    pub namespaces_per_address: Option<usize>,
}

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(options: &mut Options<E>) -> Result<Limits, UsageError> {
    Ok(Limits {
        members: options.given("--max-connections", parse_limit)?,
        heads: options.value("--max-heads", 4096, parse_limit)?,
        name_length: options.value("--max-name-length", NAME_MAX, parse_name_length)?,
        per_address: options.given("--max-conn-per-ip", parse_limit)?,
        namespaces_per_address: options.given("--max-namespaces-per-ip", parse_limit)?,
    })
}

/// How many members a process may push changed counts to in a second.
pub(super) fn parse_budget(text: &str) -> Result<Option<NonZeroU32>, String> {
    let budget = text.parse().map(NonZeroU32::new);
    budget.map_err(|_| format!("is not a number of pushes; give one from 0, which is no limit, to {}", u32::MAX))
}

fn parse_name_length(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(length @ 1..=NAME_MAX) => Ok(length),
        _ => Err(format!("is not a length; give a number from 1 to {NAME_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};

    fn limits(line: &str) -> Result<Limits, String> {
        match parse(line.split_whitespace().map(OsString::from).collect(), |_| None) {
            Ok(Command::Run(config)) => Ok(config.limits),
            other => Err(other.unwrap_err().to_string()),
        }
    }

    #[test]
    fn each_limit_has_an_option_and_a_default() {
        let default = Limits {
            members: None,
            heads: 4096,
            name_length: NAME_MAX,
            per_address: None,
            namespaces_per_address: None,
        };
        assert_eq!(limits("").unwrap(), default);
        let line =
            "--max-connections 1 --max-heads 2 --max-name-length 4 --max-conn-per-ip 5 --max-namespaces-per-ip 6";
        let given = Limits {
            members: Some(1),
            heads: 2,
            name_length: 4,
            per_address: Some(5),
            namespaces_per_address: Some(6),
        };
        assert_eq!(limits(line).unwrap(), given);
    }

    #[test]
    fn what_is_no_limit_is_named_with_its_remedy() {
        let options =
            ["--max-connections", "--max-heads", "--max-namespaces", "--max-conn-per-ip", "--max-namespaces-per-ip"];
        for option in options {
            for value in ["0", "-1", "many", "1.5"] {
                let error = limits(&format!("{option} {value}")).unwrap_err();
                assert_eq!(error, format!("{option} \"{value}\" is not a limit; give a number from 1"));
            }
        }
        for value in ["-1", "many", "1.5", "4294967296"] {
            let error = limits(&format!("--notify-budget {value}")).unwrap_err();
            let remedy = "give one from 0, which is no limit, to 4294967295";
            assert_eq!(error, format!("--notify-budget \"{value}\" is not a number of pushes; {remedy}"));
        }
        let error = limits("--max-name-length 256").unwrap_err();
        assert_eq!(error, "--max-name-length \"256\" is not a length; give a number from 1 to 255");
    }
}
