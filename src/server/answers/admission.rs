//! Which events there are, and whether an address is signed by the site.
//!
//! Owns why a join or a leaving is refused for its address, in words for programs and for people. The order in which a request
//! is judged is the port's. A file of keys that has changed is read when the next address is judged.
//!
//! Invariant: with a key, an address that is admitted was signed for its event and its uuid.

use crate::collections::tick::Now;
use crate::config::{Config, KeyFile, Names};
use crate::server::keyring::watch::{KeyUse, KeyWatch};
use crate::wire::report::Keys;
use crate::wire::signature::{self, SignatureError};

/// What decides about addresses.
pub(super) struct Admission {
    names: Names,
    /// The keys that sign; `None` where any address is good.
    keys: Option<Keys>,
    /// The file of the keys; `None` where it cannot change.
    watch: Option<KeyWatch>,
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

    /// What a program may compare.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Uuid => "uuid",
            Self::Signature(error) => error.word(),
        }
    }

    /// The field that a page may read, also of an answer without a body; a status alone may be a proxy's.
    pub(super) fn fields(self) -> String {
        ["Audience-Meter-Refusal: ", self.word(), "\r\nAccess-Control-Expose-Headers: Audience-Meter-Refusal\r\n"]
            .concat()
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
    pub(super) fn new(config: &Config, now: Now) -> Result<Self, String> {
        let (keys, file) = config.admission.key.as_ref().map(KeyFile::open).transpose()?.unzip();
        let watch = file.flatten().map(|file| KeyWatch::begin(KeyUse::Join, file, now));
        Ok(Self { names: config.admission.names.clone(), keys, watch, needs_uuid: config.enable_uuid })
    }

    /// Whether there may be an event of this name.
    pub(super) fn has(&self, namespace: &str) -> bool {
        self.names.have(namespace)
    }

    /// Judges an address to join, with these names and this query. The second segment is signed whether it is a uuid or has
    /// no effect.
    pub(super) fn judge(
        &mut self,
        (namespace, second): (&str, Option<&str>),
        query: Option<&str>,
        now: Now,
    ) -> Result<(), Refusal> {
        let needs_uuid = self.needs_uuid;
        let Some(keys) = self.keys_for(namespace, now)? else { return Ok(()) };
        if needs_uuid && second.is_none() {
            return Err(Refusal::Uuid);
        }
        signature::check(query, namespace, second, keys, now.unix_s()).map_err(Refusal::Signature)
    }

    /// The same for leaving, for which a signature that has expired is good, too.
    pub(super) fn judge_leaving(
        &mut self,
        (namespace, uuid): (&str, &str),
        query: Option<&str>,
        now: Now,
    ) -> Result<(), Refusal> {
        let Some(keys) = self.keys_for(namespace, now)? else { return Ok(()) };
        signature::expiry(query, namespace, Some(uuid), keys).map(drop).map_err(Refusal::Signature)
    }

    /// The keys that sign the addresses of an event, if any do.
    fn keys_for(&mut self, namespace: &str, now: Now) -> Result<Option<&Keys>, Refusal> {
        if !self.has(namespace) {
            return Err(Refusal::Name);
        }
        if let Some(keys) = self.watch.as_mut().and_then(|watch| watch.look(now)) {
            self.keys = Some(keys);
        }
        Ok(self.keys.as_ref())
    }
}
