//! Which events there are, and who may join them.
//!
//! Owns the form of `--namespaces`, and where the keys of signed addresses are. What a signature is, `wire::signature` knows.
//!
//! Invariant: a pattern is in the one spelling of names, so it is compared as it is.

use std::ffi::OsString;

use super::key::{self, KeySource};
use super::options::{Options, UsageError};
use crate::meter::NAME_MAX;
use crate::wire::name;

/// Which events there are, and who may join them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The keys by which the site signs; `None` lets anyone join.
    pub key: Option<KeySource>,
    /// The names that events may have.
    pub names: Names,
}

/// The names that events may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Any.
    #[default]
    Any,
    /// These, and all that begin like those with a star at their end.
    Listed(Vec<String>),
}

impl Names {
    /// Whether an event may have this name, in its one spelling.
    #[must_use]
    pub fn have(&self, name: &str) -> bool {
        let is_like = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        match self {
            Self::Any => true,
            Self::Listed(patterns) => patterns.iter().any(is_like),
        }
    }
}

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(options: &mut Options<E>) -> Result<Admission, UsageError> {
    let key = key::parse(options, "--join-key-file")?;
    let names = options.value("--namespaces", Names::Any, parse_names)?;
    Ok(Admission { key, names })
}

/// Names, and beginnings of names with a star, separated by commas. (A name that has a comma or ends in a star has them as
/// `%2C` and `%2A`.)
fn parse_names(text: &str) -> Result<Names, String> {
    let mut patterns = Vec::new();
    for entry in text.split(',').map(str::trim) {
        let pattern = name::canonical(entry);
        let problem = if entry.is_empty() {
            "has an empty name; give names such as final,sport-*"
        } else if entry.contains(['/', '?', '#']) {
            "has a name with /, ? or #, which no event has; write them as %2F, %3F and %23"
        } else if entry.trim_end_matches('*').len() + 1 < entry.len() || entry.trim_end_matches('*').contains('*') {
            "has a * that is not at the end of a name; give names such as final,sport-*"
        } else if pattern.len() > NAME_MAX {
            "has a name that is longer than all events"
        } else {
            patterns.push(pattern.into_owned());
            continue;
        };
        return Err(problem.to_owned());
    }
    Ok(Names::Listed(patterns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};

    fn admission(line: &str) -> Result<Admission, String> {
        match parse(line.split_whitespace().map(OsString::from).collect(), |_| None) {
            Ok(Command::Run(config)) => Ok(config.admission),
            other => Err(other.unwrap_err().to_string()),
        }
    }

    #[test]
    fn names_are_compared_in_their_one_spelling() {
        assert_eq!(admission("").unwrap(), Admission::default());
        let names = admission("--namespaces final,sport-*,caf\u{e9},a%2cb,x%2A,%66oo*").unwrap().names;
        for name in ["final", "sport-", "sport-1", "caf%C3%A9", "a%2Cb", "x%2A", "foo", "food"] {
            assert!(names.have(name), "{name}");
        }
        for name in ["finals", "fina", "Final", "sport", "caf", "a", "a,b", "x", "x*", "x1", ""] {
            assert!(!names.have(name), "{name}");
        }
        assert!(admission("--namespaces *").unwrap().names.have("anything"));
        assert!(Names::Any.have("anything"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_remedy() {
        let long = "n".repeat(NAME_MAX + 1);
        for (list, problem) in [
            ("final,", "has an empty name"),
            (",", "has an empty name"),
            ("a/b", "as %2F, %3F and %23"),
            ("a?b", "as %2F, %3F and %23"),
            ("*-final", "not at the end"),
            ("a*b*", "not at the end"),
            ("a**", "not at the end"),
            ("**", "not at the end"),
            (&long, "longer than all events"),
        ] {
            let error = admission(&format!("--namespaces {list}")).unwrap_err();
            assert!(error.starts_with(&format!("--namespaces {list:?} ")) && error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_key_is_in_a_file_or_in_the_environment() {
        assert!(matches!(admission("--join-key-file /k").unwrap().key, Some(KeySource::File(_))));
        let of = |value: &str| {
            parse(Vec::new(), |name| (name == "AUDIENCE_METER_JOIN_KEY").then(|| value.into()))
                .map(|command| matches!(command, Command::Run(config) if config.admission.key.is_some()))
                .map_err(|error| error.to_string())
        };
        assert_eq!(of("the key of the site"), Ok(true));
        assert_eq!(of(""), Ok(false));
        assert_eq!(
            of("hunter2").unwrap_err(),
            "AUDIENCE_METER_JOIN_KEY: line 1 is too short; a key has at least 16 bytes"
        );
    }
}
