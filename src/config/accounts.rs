//! What is kept and written down of events.
//!
//! Owns the names, defaults and limits of these options.

use std::ffi::OsString;
use std::path::PathBuf;

use super::options::{Options, UsageError};

/// As many histories take 3 GB at most.
const HISTORIES_MAX: usize = 100_000;

/// As many large events take 50 MB, and are announced to a new node in 40,000 datagrams.
const CENSUSES_MAX: usize = 10_000;

/// Each is a line in the answer to every scrape.
const SERIES_MAX: usize = 10_000;

/// What is kept and written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountsConfig {
    /// The file to which it is appended what events came to.
    pub report_file: Option<PathBuf>,
    /// Of how many namespaces there is a history.
    pub history_namespaces: usize,
    /// Of how many namespaces the different people are counted.
    pub distinct_namespaces: usize,
    /// How many namespaces have a series of their own in the metrics.
    pub metrics_namespaces: usize,
}

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(options: &mut Options<E>) -> Result<AccountsConfig, UsageError> {
    Ok(AccountsConfig {
        report_file: options.given("--report-file", |text| Ok(PathBuf::from(text)))?,
        history_namespaces: number("--history-namespaces", 100, HISTORIES_MAX, options)?,
        distinct_namespaces: number("--distinct-namespaces", 100, CENSUSES_MAX, options)?,
        metrics_namespaces: number("--metrics-namespaces", 20, SERIES_MAX, options)?,
    })
}

/// A number of namespaces, up to the most that there may be.
fn number<E: Fn(&str) -> Option<OsString>>(
    option: &'static str,
    default: usize,
    most: usize,
    options: &mut Options<E>,
) -> Result<usize, UsageError> {
    options.value(option, default, |text| {
        let number = text.parse().ok().filter(|&number| number <= most);
        number.ok_or_else(|| format!("is not a number of namespaces; give one from 0 to {most}"))
    })
}
