//! `--probe`: the question whether the process that runs with the same settings is alive, or ready.
//!
//! Owns which question, and where the stats port of that process is. It asks nothing.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Config;
use super::options::{Options, UsageError};

/// The questions.
const PAGES: [&str; 2] = ["healthz", "readyz"];

const OPTION: &str = "--probe";

/// A question to a process that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The page that is the answer, without the slash.
    pub page: &'static str,
    /// The stats port.
    pub address: SocketAddr,
}

/// Reads which page is asked for, if one is.
pub(super) fn page<E: Fn(&str) -> Option<OsString>>(
    options: &mut Options<E>,
) -> Result<Option<&'static str>, UsageError> {
    let given = options.args.opt_value_from_str::<_, String>(OPTION);
    let Some(text) = given.map_err(|_| UsageError(format!("{OPTION} takes a value; see --help")))? else {
        return Ok(None);
    };
    let page = PAGES.into_iter().find(|page| *page == text);
    page.map(Some).ok_or_else(|| UsageError(format!("{OPTION} {text:?} is not a question; give healthz or readyz")))
}

impl Probe {
    /// A question to the process with these settings.
    pub(super) fn new(page: &'static str, config: &Config) -> Result<Self, UsageError> {
        let Some(port) = config.stats_port else {
            return Err(UsageError(format!("{OPTION} asks the stats port; give a --stats-port")));
        };
        // A port on all addresses is on loopback, too.
        let host = match config.stats.host.unwrap_or(Ipv4Addr::LOCALHOST.into()) {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            host => host,
        };
        Ok(Self { page, address: (host, port).into() })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Command, parse};
    use std::ffi::OsString;

    fn probe(line: &str) -> Result<String, String> {
        match parse(line.split_whitespace().map(OsString::from).collect(), |_| None) {
            Ok(Command::Probe(probe)) => Ok(format!("{} {}", probe.page, probe.address)),
            other => Err(other.unwrap_err().to_string()),
        }
    }

    #[test]
    fn a_probe_asks_where_the_stats_port_is() {
        assert_eq!(probe("--probe healthz").unwrap(), "healthz 127.0.0.1:1442");
        assert_eq!(probe("--probe=readyz --port 8000 --stats-port 9").unwrap(), "readyz 127.0.0.1:9");
        for (host, address) in [("0.0.0.0", "127.0.0.1:1442"), ("::", "[::1]:1442"), ("10.0.0.1", "10.0.0.1:1442")] {
            let line = format!("--probe readyz --stats-host {host} --stats-token-file /t");
            assert_eq!(probe(&line).unwrap(), format!("readyz {address}"));
        }
        assert_eq!(probe("--probe").unwrap_err(), "--probe takes a value; see --help");
        assert_eq!(probe("--probe /").unwrap_err(), "--probe \"/\" is not a question; give healthz or readyz");
        assert_eq!(
            probe("--probe readyz --stats-port 0").unwrap_err(),
            "--probe asks the stats port; give a --stats-port"
        );
        assert_eq!(probe("--probe readyz --no-such").unwrap_err(), "--no-such is not an option; see --help");
    }
}
