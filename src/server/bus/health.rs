//! Whether what is sent by a way leaves this process.
//!
//! Owns what came of the sends by a way, and of the renewals of its membership, since the last look. It does not know what
//! is done about it.
//!
//! Invariant: a loss for want of room is no failure: it heals like other losses.

use std::io;

/// How a way does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing leaves, for this reason: the words of the kernel, joined to one.
    Fails(String),
    Works,
    /// Nothing was sent.
    Unknown,
}

/// What came of the sends by a way.
#[derive(Debug, Default)]
pub(super) struct Health {
    error: Option<String>,
    has_sent: bool,
}

impl Health {
    /// Takes what came of a send.
    pub(super) fn record_sent(&mut self, sent: &io::Result<usize>) {
        match sent {
            Ok(_) => self.has_sent = true,
            Err(error) => self.record_error(error),
        }
    }

    /// Takes what came of a renewal. A membership that is there says nothing of sends.
    pub(super) fn record_renewed(&mut self, renewed: &io::Result<()>) {
        if let Err(error) = renewed {
            self.record_error(error);
        }
    }

    /// What there was since the last look. `one_is_enough` says that a way is well while it leads anywhere.
    pub(super) fn look(&mut self, one_is_enough: bool) -> Condition {
        let Self { error, has_sent } = std::mem::take(self);
        match error.filter(|_| !(one_is_enough && has_sent)) {
            Some(error) => Condition::Fails(error),
            None if has_sent => Condition::Works,
            None => Condition::Unknown,
        }
    }

    fn record_error(&mut self, error: &io::Error) {
        let is_full = matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM));
        if !is_full && self.error.is_none() {
            let words = error.to_string();
            let reason = words.split(" (os error").next().unwrap_or_default();
            self.error = Some(reason.replace(' ', "-"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn a_way_fails_when_a_send_or_a_renewal_does_and_works_when_sends_go_out() {
        let mut health = Health::default();
        assert_eq!(health.look(false), Condition::Unknown);
        health.record_renewed(&Ok(()));
        assert_eq!(health.look(false), Condition::Unknown);
        health.record_sent(&Ok(9));
        assert_eq!(health.look(false), Condition::Works);
        health.record_sent(&Ok(9));
        health.record_sent(&Err(failed(libc::ENETUNREACH)));
        assert_eq!(health.look(false), Condition::Fails("Network-is-unreachable".to_owned()));
        assert_eq!(health.look(false), Condition::Unknown, "each look is at what is new");
        health.record_renewed(&Err(failed(libc::ENODEV)));
        assert_eq!(health.look(false), Condition::Fails("No-such-device".to_owned()));
    }

    #[test]
    fn one_address_of_many_that_fails_is_no_failure_of_the_way() {
        let mut health = Health::default();
        health.record_sent(&Err(failed(libc::EHOSTUNREACH)));
        health.record_sent(&Ok(9));
        assert_eq!(health.look(true), Condition::Works);
        health.record_sent(&Err(failed(libc::EHOSTUNREACH)));
        assert_eq!(health.look(true), Condition::Fails("No-route-to-host".to_owned()));
    }

    #[test]
    fn a_full_buffer_is_no_failure() {
        let mut health = Health::default();
        for number in [libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM] {
            health.record_sent(&Err(failed(number)));
        }
        assert_eq!(health.look(false), Condition::Unknown);
    }
}
