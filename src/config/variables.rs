//! The names of environment variables: each option has one.
//!
//! Owns the rule, `AUDIENCE_METER_` and the name of the option, what stands beside it, and the search for names that are
//! wrong. It does not read values.
//!
//! Kubernetes sets variables of each of its services for all containers. For a service `audience-meter` these begin as ours do,
//! and `AUDIENCE_METER_PORT` is one of them, with a value such as `tcp://10.0.0.1:80`. They are none of ours.

use std::ffi::{OsStr, OsString};

use super::usage;
use crate::collections::order::in_order;

/// The environment variable in which a supervisor passes its process id to its workers.
pub const SUPERVISOR_VARIABLE: &str = "AUDIENCE_METER_SUPERVISOR";

const PREFIX: &str = "AUDIENCE_METER_";

/// Options that print, check or ask, and are no settings.
const WITHOUT: [&str; 4] = ["--help", "--version", "--check", "--probe"];

/// Variables that stand for no option in the usage text, for they are not for operators.
const BESIDE: [&str; 2] = ["AUDIENCE_METER_TORTURE", SUPERVISOR_VARIABLE];

/// The variable of an option: `AUDIENCE_METER_STATS_PORT` for `--stats-port`.
pub(super) fn variable(option: &str) -> String {
    let mut name = option.trim_start_matches('-').replace('-', "_");
    name.make_ascii_uppercase();
    name.insert_str(0, PREFIX);
    name
}

/// The variable that holds the secret itself where an option names its file.
pub(super) fn secret_variable(file_option: &str) -> String {
    variable(file_option.trim_end_matches("-file"))
}

/// All variables that are ours.
fn known() -> Vec<String> {
    let mut known: Vec<String> = BESIDE.map(str::to_owned).into();
    for option in usage::options().filter(|option| !WITHOUT.contains(option)) {
        known.push(variable(option));
        if ["-key-file", "-token-file", "-credentials-file"].iter().any(|end| option.ends_with(end)) {
            known.push(secret_variable(option));
        }
    }
    known
}

/// The name that 2.1.3 and many hosts use, below the variable of the option.
pub(super) fn older_variable(option: &str) -> Option<&'static str> {
    match option {
        "--port" => Some("PORT"),
        "--host" => Some("HOST"),
        _ => None,
    }
}

/// Whether this is what Kubernetes and Docker say of a service.
pub(super) fn is_service_link(value: &OsStr) -> bool {
    let bytes = value.as_encoded_bytes();
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| bytes.starts_with(scheme.as_bytes()))
}

/// A variable that begins as ours do, and is none.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its name.
    pub name: String,
    /// The name of ours that is nearest.
    pub nearest: String,
}

/// The variables of an environment that begin as ours do, and are none.
#[must_use]
pub fn unknown(environment: impl Iterator<Item = (OsString, OsString)>) -> Vec<Unknown> {
    let mut all = Vec::new();
    for (name, value) in environment {
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && !is_service_link(&value) && !is_of_service(&name) {
            all.push(name.into_owned());
        }
    }
    if all.is_empty() {
        return Vec::new();
    }
    let known = known();
    all.retain(|name| !known.contains(name));
    let all = in_order(all);
    let nearest = |name: &String| known.iter().min_by_key(|known| distance(name, known)).cloned().unwrap_or_default();
    all.into_iter().map(|name| Unknown { nearest: nearest(&name), name }).collect()
}

/// Whether Kubernetes names the variables of a service so: `_SERVICE_HOST`, `_SERVICE_PORT_HTTP`, `_PORT_80_TCP_ADDR`.
fn is_of_service(name: &str) -> bool {
    let is_port = |(_, rest): (_, &str)| rest.starts_with(|first: char| first.is_ascii_digit());
    name.contains("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.rsplit_once("_PORT_").is_some_and(is_port)
}

/// How many bytes have to be put in, taken out or replaced to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, byte) in one.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], index + 1);
        for (place, of_other) in other.bytes().enumerate() {
            let replaced = corner + usize::from(byte != of_other);
            corner = row[place + 1];
            row[place + 1] = replaced.min(corner + 1).min(row[place] + 1);
        }
    }
    row.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[(&str, &str)]) -> Vec<(String, String)> {
        let environment = names.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        unknown(environment).into_iter().map(|unknown| (unknown.name, unknown.nearest)).collect()
    }

    #[test]
    fn a_variable_is_named_as_its_option() {
        assert_eq!(variable("--stats-port"), "AUDIENCE_METER_STATS_PORT");
        assert_eq!(secret_variable("--cluster-key-file"), "AUDIENCE_METER_CLUSTER_KEY");
    }

    #[test]
    fn a_name_that_is_wrong_is_found_with_the_nearest_right_one() {
        let names = ["PROT", "NOTIFY_MIN_DELEY", "WORKER", "ENABLE_UIID"].map(|name| format!("{PREFIX}{name}"));
        let nearest = ["PORT", "NOTIFY_MIN_DELAY", "WORKERS", "ENABLE_UUID"].map(|name| format!("{PREFIX}{name}"));
        for (name, nearest) in names.into_iter().zip(nearest) {
            assert_eq!(of(&[(&name, "1"), ("PATH", "/"), ("METER_PORT", "1")]), [(name, nearest)]);
        }
    }

    #[test]
    fn what_is_ours_or_of_a_service_is_not_unknown() {
        assert!(known().iter().any(|name| name == "AUDIENCE_METER_NOTIFICATION_TOKEN"));
        for name in known() {
            assert_eq!(of(&[(&name, "")]), [], "{name}");
        }
        // As Kubernetes sets them for services `audience-meter` and `audience-meter-metrics`.
        let service = [
            ("AUDIENCE_METER_SERVICE_HOST", "10.0.0.1"),
            ("AUDIENCE_METER_SERVICE_PORT", "80"),
            ("AUDIENCE_METER_SERVICE_PORT_HTTP", "80"),
            ("AUDIENCE_METER_PORT", "tcp://10.0.0.1:80"),
            ("AUDIENCE_METER_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("AUDIENCE_METER_PORT_80_TCP_PROTO", "tcp"),
            ("AUDIENCE_METER_PORT_80_TCP_PORT", "80"),
            ("AUDIENCE_METER_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("AUDIENCE_METER_METRICS_SERVICE_HOST", "10.0.0.2"),
            ("AUDIENCE_METER_METRICS_PORT", "udp://10.0.0.2:1442"),
        ];
        assert_eq!(of(&service), []);
        assert_eq!(of(&[("AUDIENCE_METER_CHECK", "1")]).len(), 1);
    }

    #[test]
    fn the_distance_is_in_bytes() {
        for (one, other, expected) in [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("ab", "ba", 2)] {
            assert_eq!((distance(one, other), distance(other, one)), (expected, expected));
        }
    }
}
