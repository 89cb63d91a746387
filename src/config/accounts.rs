//! What is kept and written down of events.
//!
//! Owns the names, defaults and limits of these options.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Options, UsageError};

/// As many histories take 3 GB at most.
const HISTORIES_MAX: usize = 100_000;

/// What is kept and written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountsConfig {
    /// The file to which it is appended what events came to.
    pub report_file: Option<PathBuf>,
    /// Of how many namespaces there is a history.
    pub history_namespaces: usize,
}

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(options: &mut Options<E>) -> Result<AccountsConfig, UsageError> {
    Ok(AccountsConfig {
        report_file: options.given("--report-file", "--report-file", None, |text| Ok(PathBuf::from(text)))?,
        history_namespaces: options.value("--history-namespaces", None, 100, |text| match text.parse() {
            Ok(number @ 0..=HISTORIES_MAX) => Ok(number),
            _ => Err(format!("is not a number of namespaces; give one from 0 to {HISTORIES_MAX}")),
        })?,
    })
}
