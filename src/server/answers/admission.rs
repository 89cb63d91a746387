//! Which events there are, and whether an address is signed by the site.
//!
//! Owns why a join or a leaving is refused for its address, in words for programs and for people. The order in which a request
//! is judged is the port's.
//!
//! Invariant: with a key, an address that is admitted was signed for its event and its uuid.

use crate::config::{Config, KeySource, Names};
use crate::wire::report::Keys;
use crate::wire::signature::{self, SignatureError};

/// What was decided at start about addresses.
pub(super) struct Admission {
    names: Names,
    /// The keys that sign; `None` where any address is good.
    keys: Option<Keys>,
    /// Whether a signature must be for one uuid: otherwise it would admit any number of members.
    needs_uuid: bool,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no event of this name.
    Name,
    /// It has no uuid.
    Uuid,
    /// Its signature is not good.
    Signature(SignatureError),
}

impl Refusal {
    pub(super) fn status(self) -> u16 {
        if self == Self::Name { 404 } else { 403 }
    }

    /// The field that a page may read, also of an answer without a body; a status alone may be a proxy's.
    pub(super) fn fields(self) -> String {
        let word = match self {
            Self::Name => "name",
            Self::Uuid => "uuid",
            Self::Signature(error) => error.word(),
        };
        ["Audience-Meter-Refusal: ", word, "\r\nAccess-Control-Expose-Headers: Audience-Meter-Refusal\r\n"].concat()
    }

    /// A line for a person.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Name => "there is no event of this name here (--namespaces)",
            Self::Uuid => "this address has no UUID; with --enable-uuid, each address is signed for one",
            Self::Signature(error) => error.reason(),
        }
    }
}

impl Admission {
    /// # Errors
    /// Keys that cannot be read, as a line for a person.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let keys = config.admission.key.as_ref().map(KeySource::read).transpose()?;
        Ok(Self { names: config.admission.names.clone(), keys, needs_uuid: config.enable_uuid })
    }

    /// Whether there may be an event of this name.
    pub(super) fn has(&self, namespace: &str) -> bool {
        self.names.have(namespace)
    }

    /// Judges an address to join, with these names and this query, at this moment in Unix seconds. The second segment is
    /// signed whether it is a uuid or has no effect.
    pub(super) fn judge(
        &self,
        (namespace, second): (&str, Option<&str>),
        query: Option<&str>,
        unix_s: u64,
    ) -> Result<(), Refusal> {
        let Some(keys) = self.keys_for(namespace)? else { return Ok(()) };
        if self.needs_uuid && second.is_none() {
            return Err(Refusal::Uuid);
        }
        signature::check(query, namespace, second, keys, unix_s).map_err(Refusal::Signature)
    }

    /// The same for leaving, for which a signature that has expired is good, too.
    pub(super) fn judge_leaving(&self, namespace: &str, uuid: &str, query: Option<&str>) -> Result<(), Refusal> {
        let Some(keys) = self.keys_for(namespace)? else { return Ok(()) };
        signature::expiry(query, namespace, Some(uuid), keys).map(drop).map_err(Refusal::Signature)
    }

    /// The keys that sign the addresses of an event, if any do.
    fn keys_for(&self, namespace: &str) -> Result<Option<&Keys>, Refusal> {
        if self.has(namespace) { Ok(self.keys.as_ref()) } else { Err(Refusal::Name) }
    }
}
