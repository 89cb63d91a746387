//! Where a connection comes from: its peer, or the client that a trusted proxy has connected for.
//!
//! Owns what is known of that until the request is whole. A proxy is believed if its address is in `--trust-proxy`, and no
//! other peer is: by the PROXY protocol, with which the connection begins, and by `X-Forwarded-For`. A client can write
//! either, too, so what counts is the address from which the claim comes.
//!
//! Nothing is kept, unless an option asks for it.
//!
//! Invariant: a connection is `newest` or in `waiting` from its accept until its request is whole or it is freed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use super::conn::ConnId;
use crate::collections::shards::BuildKeyHasher;
use crate::config::{Config, Networks};
use crate::server::ports::port::Port;
use crate::wire::forwarded;
use crate::wire::http::Request;
use crate::wire::proxy::{self, Found, Malformed};

/// The origin of a connection whose request is not whole.
#[derive(Debug)]
struct Origin {
    /// The peer's address, or the one that a proxy has named.
    address: IpAddr,
    /// What has arrived of a PROXY head; `None` once there is one, or none to come.
    preface: Option<Vec<u8>>,
}

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Preface<'a> {
    /// The beginning of a PROXY head.
    Wait,
    /// These belong to the request.
    Request(Cow<'a, [u8]>),
    /// They are like a PROXY head, and none.
    Malformed(Malformed),
}

/// The origins of all connections whose request is not whole.
pub(in crate::server) struct Origins {
    trusted: Networks,
    /// Whether there is a limit for each address, on its members, on its namespaces, or on what it may ask; or whether it names
    /// a person.
    is_address_wanted: bool,
    /// The last connection that came, which most often has its request with it.
    newest: Option<(ConnId, Origin)>,
    /// All others that wait, by a hash that costs next to nothing: the keys are our own.
    waiting: HashMap<ConnId, Origin, BuildKeyHasher>,
}

impl Origins {
    pub(super) fn new(config: &Config) -> Self {
        let (trusted, limits) = (config.trust_proxy.clone(), &config.limits);
        let has_limit = limits.per_address.or(limits.namespaces_per_address).is_some();
        let is_address_wanted = has_limit || config.enable_uuid || config.accounts.distinct_namespaces > 0;
        Self { trusted, is_address_wanted, newest: None, waiting: HashMap::default() }
    }

    /// The address from which a connection comes, if it is of use. The local ports have no proxies.
    pub(in crate::server) fn wanted(&self, peer: IpAddr, port: Port) -> Option<IpAddr> {
        let is_of_use = self.is_address_wanted || !self.trusted.is_empty();
        (is_of_use && port.policy().is_public).then_some(peer)
    }

    /// A connection has come from this address.
    pub(super) fn begin(&mut self, id: ConnId, peer: Option<IpAddr>) {
        let Some(address) = peer else { return };
        let preface = self.trusted.contains(address).then(Vec::new);
        if let Some((earlier, origin)) = self.newest.replace((id, Origin { address, preface })) {
            self.waiting.insert(earlier, origin);
        }
    }

    /// Separates a PROXY head from the request that follows it.
    pub(in crate::server) fn strip<'a>(&mut self, id: ConnId, bytes: &'a [u8]) -> Preface<'a> {
        let untouched = Preface::Request(bytes.into());
        let newest = self.newest.as_mut().filter(|(newest, _)| *newest == id).map(|(_, origin)| origin);
        let Some(origin) = newest.or_else(|| self.waiting.get_mut(&id)) else { return untouched };
        let Some(begun) = &mut origin.preface else { return untouched };
        let all = if begun.is_empty() { bytes.into() } else { Cow::from([begun.as_slice(), bytes].concat()) };
        let (length, source) = match proxy::find(&all) {
            Found::Incomplete => {
                *begun = all.into_owned();
                return Preface::Wait;
            }
            Found::Malformed(malformed) => return Preface::Malformed(malformed),
            Found::Absent => (0, None),
            Found::Head { length, source } => (length, source),
        };
        origin.preface = None;
        origin.address = source.unwrap_or(origin.address);
        Preface::Request(match all {
            Cow::Borrowed(all) => all.get(length..).unwrap_or_default().into(),
            Cow::Owned(mut all) => all.split_off(length).into(),
        })
    }

    /// The connection has brought this request: the address of the client that sent it.
    pub(in crate::server) fn take(&mut self, id: ConnId, request: &Request<'_>) -> Option<IpAddr> {
        let Origin { address, .. } = self.remove(id)?;
        let is_trusted = |address| self.trusted.contains(address);
        if !is_trusted(address) {
            return Some(address);
        }
        let values: Vec<&[u8]> = request.values(b"x-forwarded-for").collect();
        Some(forwarded::client(values, is_trusted).unwrap_or(address))
    }

    /// The connection is gone.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.remove(id);
    }

    fn remove(&mut self, id: ConnId) -> Option<Origin> {
        if let Some((_, origin)) = self.newest.take_if(|(newest, _)| *newest == id) {
            return Some(origin);
        }
        if self.waiting.is_empty() { None } else { self.waiting.remove(&id) }
    }

    /// Whether no request is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_none() && self.waiting.is_empty()
    }
}
