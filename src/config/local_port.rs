//! Where a port for operators and programs listens, and which requests it takes: the stats port and the notification port.
//!
//! Owns where they listen and what has to come with a request: by default loopback, and nothing. Any other address needs a
//! token.

use std::ffi::OsString;
use std::net::IpAddr;

use super::key::TokenSource;
use super::options::{Options, UsageError, parse_host};

/// Where such a port listens, and what proves that a request is the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPort {
    /// The address; `None` is loopback, IPv4 and IPv6.
    pub host: Option<IpAddr>,
    pub(super) token: Option<TokenSource>,
}

impl LocalPort {
    /// Whether a token has to come with a request.
    #[must_use]
    pub fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// Reads the token that has to come with a request, if one has to.
    ///
    /// # Errors
    /// As [`TokenSource::read`].
    pub fn read_token(&self) -> Result<Option<Vec<u8>>, String> {
        self.token.as_ref().map(TokenSource::read).transpose()
    }
}

/// Reads the options of a port: these two.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(
    options: &mut Options<E>,
    host_option: &'static str,
    token_option: &'static str,
) -> Result<LocalPort, UsageError> {
    let host = options.value(host_option, None, parse_host)?;
    let token = TokenSource::parse(options, token_option)?;
    if let Some(host) = host
        && !host.is_loopback()
        && token.is_none()
    {
        let source = options.source(host_option);
        return Err(UsageError(format!("{source} {host} lets others in; give a {token_option}, too")));
    }
    Ok(LocalPort { host, token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};

    fn ports(line: &str) -> Result<[LocalPort; 2], String> {
        match parse(line.split_whitespace().map(OsString::from).collect(), |_| None) {
            Ok(Command::Run(config)) => Ok([config.stats, config.notification]),
            other => Err(other.unwrap_err().to_string()),
        }
    }

    #[test]
    fn a_port_that_lets_others_in_asks_for_a_token() {
        for port in ports("").unwrap() {
            assert_eq!((port.host, port.needs_token()), (None, false));
        }
        for name in ["stats", "notification"] {
            let error = ports(&format!("--{name}-host 0.0.0.0")).unwrap_err();
            assert_eq!(error, format!("--{name}-host 0.0.0.0 lets others in; give a --{name}-token-file, too"));
            assert!(ports(&format!("--{name}-host ::1")).is_ok());
            let line = format!("--{name}-host 10.0.0.1 --{name}-token-file /t");
            assert_eq!(ports(&line).unwrap().iter().filter(|port| port.needs_token()).count(), 1);
        }
    }
}
