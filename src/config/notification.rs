//! Where messages to the audience are taken, and from which senders.
//!
//! Owns where messages are taken and what has to come with them: by default loopback, and nothing. Any other address needs a
//! token.

use std::ffi::OsString;
use std::net::IpAddr;

use super::key::TokenSource;
use super::options::{Options, UsageError, parse_host};

/// Where messages are taken, and what proves their sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationConfig {
    /// The address of the notification port; `None` is loopback, IPv4 and IPv6.
    pub host: Option<IpAddr>,
    token: Option<TokenSource>,
}

impl NotificationConfig {
    /// Reads the token that has to come with a message, if one has to.
    ///
    /// # Errors
    /// As [`TokenSource::read`].
    pub fn read_token(&self) -> Result<Option<Vec<u8>>, String> {
        self.token.as_ref().map(TokenSource::read).transpose()
    }
}

const TOKEN_FILE: &str = "--notification-token-file";

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(
    options: &mut Options<E>,
) -> Result<NotificationConfig, UsageError> {
    let host = options.value("--notification-host", None, parse_host)?;
    let token = TokenSource::parse(options, TOKEN_FILE)?;
    if let Some(host) = host
        && !host.is_loopback()
        && token.is_none()
    {
        let source = options.source("--notification-host");
        return Err(UsageError(format!("{source} {host} lets others in; give a {TOKEN_FILE}, too")));
    }
    Ok(NotificationConfig { host, token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};

    fn notification(line: &str) -> Result<NotificationConfig, String> {
        match parse(line.split_whitespace().map(OsString::from).collect(), |_| None) {
            Ok(Command::Run(config)) => Ok(config.notification),
            other => Err(other.unwrap_err().to_string()),
        }
    }

    #[test]
    fn who_lets_others_in_asks_for_a_token() {
        assert_eq!(notification("").unwrap(), NotificationConfig::default());
        let error = notification("--notification-host 0.0.0.0").unwrap_err();
        assert_eq!(error, "--notification-host 0.0.0.0 lets others in; give a --notification-token-file, too");
        assert!(notification("--notification-host ::1").is_ok());
        assert!(notification("--notification-host 10.0.0.1 --notification-token-file /t").is_ok());
    }
}
