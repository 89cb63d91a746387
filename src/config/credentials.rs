//! What a process shows to a broker to be let in: a name and a password, or a secret alone.
//!
//! Owns where it comes from, a file or the environment, and its form: `user:password`, or a password of Redis or a token of
//! NATS alone. A secret alone that has a colon in it begins with one. It never prints one.

use std::ffi::OsString;

use super::key::SecretFile;
use super::options::{Options, UsageError};
use super::variables::secret_variable;
use crate::wire::broker::Login;

const OPTION: &str = "--cluster-credentials-file";

/// Where the credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialsSource {
    /// In a file.
    File(SecretFile),
    /// In the environment.
    Environment(Login),
}

impl CredentialsSource {
    /// Reads the option: the file that it names, or the credentials themselves in the variable beside it.
    pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(options: &mut Options<E>) -> Result<Option<Self>, UsageError> {
        if let Some(file) = SecretFile::parse(options, OPTION)? {
            return Ok(Some(Self::File(file)));
        }
        let variable = secret_variable(OPTION);
        let Some(content) = (options.env)(&variable).filter(|content| !content.is_empty()) else { return Ok(None) };
        // Without the value: it is a secret.
        let credentials = credentials_in(&content.into_encoded_bytes());
        let credentials = credentials.map_err(|problem| UsageError(format!("{variable}: {problem}")))?;
        Ok(Some(Self::Environment(credentials)))
    }

    /// Reads the credentials.
    ///
    /// # Errors
    /// A file that cannot be read, that others can read, or that has none in it, as a line for a person.
    pub fn read(&self) -> Result<Login, String> {
        match self {
            Self::Environment(credentials) => Ok(credentials.clone()),
            Self::File(file) => file.read_with(credentials_in),
        }
    }

    /// Reads the credentials anew, whatever a supervisor has handed on.
    ///
    /// # Errors
    /// As [`read`](Self::read). A worker may not have the privilege that its supervisor has.
    pub fn read_again(&self) -> Result<Login, String> {
        match self {
            Self::Environment(credentials) => Ok(credentials.clone()),
            Self::File(file) => credentials_in(&file.read()?).map_err(|problem| file.explain(&problem)),
        }
    }

    /// Its file, if it is one.
    pub(super) fn file(&mut self) -> Option<&mut SecretFile> {
        if let Self::File(file) = self { Some(file) } else { None }
    }
}

/// The credentials that the content is, or what is wrong with it.
pub(super) fn credentials_in(content: &[u8]) -> Result<Login, String> {
    let text = str::from_utf8(content.trim_ascii_end()).ok().filter(|text| !text.contains(|c: char| c.is_control()));
    let text = text.ok_or_else(|| "credentials are one line of text, user:password or a secret alone".to_owned())?;
    let (user, secret) = text.split_once(':').unwrap_or(("", text));
    if secret.is_empty() {
        return Err("there is no secret in it; put user:password or a secret alone there".to_owned());
    }
    Ok(Login { user: Some(user.to_owned()).filter(|user| !user.is_empty()), secret: secret.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};

    fn given(line: &str, variable: &str) -> Result<Option<CredentialsSource>, String> {
        let args = line.split_whitespace().map(OsString::from).collect();
        let env = |name: &str| (name == "AUDIENCE_METER_CLUSTER_CREDENTIALS").then(|| variable.into());
        match parse(args, env) {
            Ok(Command::Run(config)) => Ok(config.cluster.credentials),
            other => Err(other.unwrap_err().to_string()),
        }
    }

    #[test]
    fn credentials_are_a_name_and_a_password_or_a_secret_alone() {
        let of = |text: &str| credentials_in(text.as_bytes()).map(|found| (found.user, found.secret));
        let found = |user: Option<&str>, secret: &str| Ok((user.map(str::to_owned), secret.to_owned()));
        assert_eq!(of("me:hunter2\n"), found(Some("me"), "hunter2"));
        assert_eq!(of("me:a:b c\r\n"), found(Some("me"), "a:b c"));
        assert_eq!(of("token"), found(None, "token"));
        assert_eq!(of(":a:b"), found(None, "a:b"));
        for text in ["", "\n", "me:", ":", "a\nb", "a\0b"] {
            assert!(of(text).is_err(), "{text:?}");
        }
        assert!(credentials_in(b"\xff").is_err());
    }

    #[test]
    fn they_come_from_a_file_or_the_environment_and_are_never_printed() {
        assert_eq!(given("", ""), Ok(None));
        let of_environment = given("", "me:hunter2").unwrap().unwrap();
        assert!(!format!("{of_environment:?}").contains("hunter2"));
        assert_eq!(of_environment.read().unwrap().secret, "hunter2");
        assert!(matches!(given("--cluster-credentials-file /c", "x").unwrap(), Some(CredentialsSource::File(_))));
        assert_eq!(
            given("", "hunter2:").unwrap_err(),
            "AUDIENCE_METER_CLUSTER_CREDENTIALS: there is no secret in it; put user:password or a secret alone there"
        );
    }
}
