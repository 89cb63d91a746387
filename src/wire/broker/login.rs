//! What a node logs in with, and what may be shown of a broker's texts.
//!
//! Owns the secret. A broker may quote a command that it does not know, and the secret with it.
//!
//! Invariant: no text that comes out of here has the secret.

use core::fmt;

/// The name that a broker's own lists of clients show.
pub(super) const CLIENT_NAME: &str = "audience-meter";

/// What a node logs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user; without one, `secret` is a token of NATS, or the password of Redis's default user.
    pub user: Option<String>,
    /// The password or the token.
    pub secret: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// The most bytes of a broker's text that are shown.
const TEXT_MAX: usize = 200;

/// As many bytes of a secret are enough for a text that has them to quote it.
const QUOTE_MIN: usize = 8;

impl Login {
    /// A broker's text, as far as it can be shown: a line of plain characters that quotes no secret.
    pub(super) fn clean(login: Option<&Self>, text: &[u8]) -> String {
        let secret = login.map_or(&b""[..], |login| login.secret.as_bytes());
        let quote = secret.get(..QUOTE_MIN).unwrap_or(secret);
        if !quote.is_empty() && text.windows(quote.len()).any(|window| window == quote) {
            return "its text quotes the secret".to_owned();
        }
        let plain = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
        text.trim_ascii().iter().take(TEXT_MAX).map(plain).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_as_one_line_of_plain_characters() {
        let show = |text: &[u8]| Login::clean(None, text);
        assert_eq!(show(b" 'Unknown Protocol Operation'\r\n"), "'Unknown Protocol Operation'");
        assert_eq!(show(b"a\x1b[2J\nlevel=error \xff"), "a?[2J?level=error ?");
        assert_eq!(show(&[b'x'; 1_000]).len(), TEXT_MAX);
    }

    #[test]
    fn a_text_that_quotes_the_secret_or_its_beginning_is_not_shown() {
        for (secret, text) in
            [("pw", "args: `pw`"), ("a long password", "args: `a long p"), ("a long password", "a long password")]
        {
            for user in [None, Some("user".to_owned())] {
                let login = Login { user, secret: secret.to_owned() };
                let shown = Login::clean(Some(&login), text.as_bytes());
                assert!(!shown.contains(secret.get(..8).unwrap_or(secret)), "{shown}");
                assert_eq!(format!("{login:?}"), "Login");
            }
        }
        let far = [&[b'x'; 500][..], b"a long password"].concat();
        let login = Login { user: None, secret: "a long password".to_owned() };
        assert_eq!(Login::clean(Some(&login), &far), "its text quotes the secret");
    }
}
