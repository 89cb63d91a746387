//! Where many namespaces may be watched at once, and what watchers receive beside the counts.
//!
//! Owns the names, defaults and limits of these options.

use std::ffi::OsString;

use super::options::{Options, UsageError};
use crate::meter::watches::{THRESHOLDS_MAX, Thresholds};

/// The powers of ten from 10 up to these zeros.
const DEFAULT_ZEROS: u32 = 9;

/// What watchers may do, and what they receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchConfig {
    /// Whether the audience port takes watchers, too.
    pub is_public: bool,
    /// The totals whose crossing is reported.
    pub thresholds: Thresholds,
}

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(options: &mut Options<E>) -> Result<WatchConfig, UsageError> {
    let thresholds = options.given("--milestones", parse_thresholds)?;
    let default = || Thresholds::new((1..=DEFAULT_ZEROS).map(|zeros| 10_u64.pow(zeros)));
    let Some(thresholds) = thresholds.or_else(default) else { unreachable!("the default is within the limits") };
    Ok(WatchConfig { is_public: options.flag("--allow-listen")?, thresholds })
}

fn parse_thresholds(text: &str) -> Result<Thresholds, String> {
    let numbers: Option<Vec<u64>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    numbers.and_then(Thresholds::new).ok_or_else(|| {
        format!("is not a list of milestones; give up to {THRESHOLDS_MAX} numbers from 1, such as 100,1000")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};

    fn watching(line: &str) -> Result<WatchConfig, String> {
        match parse(line.split_whitespace().map(OsString::from).collect(), |_| None) {
            Ok(Command::Run(config)) => Ok(config.watching),
            other => Err(other.unwrap_err().to_string()),
        }
    }

    #[test]
    fn watching_has_its_options() {
        let default = watching("").unwrap();
        assert!(!default.is_public);
        assert_eq!(
            default,
            watching("--milestones 10,100,1000,10000,100000,1000000,10000000,100000000,1000000000").unwrap()
        );
        let given = watching("--allow-listen --milestones 500,20").unwrap();
        assert!(given.is_public);
        assert_eq!(Some(given.thresholds), Thresholds::new([20, 500]));
        for list in ["0", "-1", "10,", "ten", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"] {
            let error = watching(&format!("--milestones {list}")).unwrap_err();
            let remedy = "is not a list of milestones; give up to 16 numbers from 1, such as 100,1000";
            assert_eq!(error, format!("--milestones {list:?} {remedy}"));
        }
    }
}
