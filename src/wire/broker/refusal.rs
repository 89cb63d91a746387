//! Why a session with a broker is over, one line each, with the remedy.
//!
//! Owns the texts. They name no secret and no address: the caller knows which broker it is.

use core::fmt;

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The broker knows no such user, or not this password or token; or they have expired.
    WrongCredentials,
    /// The broker wants credentials, and none are given.
    CredentialsNeeded,
    /// The user may not do something on the channel: the broker's own words.
    NotAllowed(String),
    /// The broker speaks TLS alone.
    TlsWanted,
    /// What answers speaks another protocol.
    NotThisProtocol,
    /// The port is for other servers of the broker's cluster.
    WrongPort,
    /// The broker does not know RESP3.
    TooOld,
    /// The broker takes payloads of this many bytes at most, and datagrams are longer.
    MaxPayload(u64),
    /// The broker has as many clients as it takes.
    Full,
    /// The broker refuses clients from other hosts.
    Protected,
    /// The broker has just started, and loads its data.
    Loading,
    /// The broker is a Redis sentinel.
    Sentinel,
    /// The broker is a replica of this master.
    MasterAt {
        /// The master's name or address, as the replica knows it.
        host: String,
        /// The master's port.
        port: u16,
    },
    /// The broker is a replica and does not say of which master, or has lost it.
    Replica,
    /// The node did not take what the broker had for it fast enough.
    SlowConsumer,
    /// The node did not answer the broker in time.
    Stale,
    /// The broker is about to shut down.
    Leaving,
    /// The broker has closed the connection before it said anything.
    ClosedAtOnce,
    /// The broker has closed the connection.
    Closed,
    /// The broker has answered nothing in time.
    Silent,
    /// The broker said something that has no place in the protocol, or refused something else: its words, or what was wrong.
    Protocol(String),
}

impl Refusal {
    /// Whether other credentials may be the remedy.
    #[must_use]
    pub fn is_of_credentials(&self) -> bool {
        matches!(self, Self::WrongCredentials | Self::CredentialsNeeded)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongCredentials => "the broker refuses the credentials: correct --cluster-credentials-file",
            Self::CredentialsNeeded => "the broker wants credentials: give --cluster-credentials-file",
            Self::NotAllowed(text) => {
                return write!(
                    f,
                    "the user may not publish and subscribe on the channel: allow it at the broker ({text})"
                );
            }
            Self::TlsWanted => "the broker wants TLS: connect through a TLS tunnel on this host, such as stunnel",
            Self::NotThisProtocol => "what answers is another kind of server: correct the scheme or the port",
            Self::WrongPort => "the port is that of the broker's own cluster: give its port for clients",
            Self::TooOld => {
                "the broker has no RESP3: use Redis 6, Valkey 7 or later ones, without a proxy that knows RESP2 only"
            }
            Self::MaxPayload(limit) => {
                return write!(f, "the broker takes payloads of {limit} bytes: raise its max_payload to 1200 or more");
            }
            Self::Full => "the broker has no place for one more client: raise its limit (max_connections, maxclients)",
            Self::Protected => "the broker refuses other hosts: set a password there, or protected-mode no",
            Self::Loading => "the broker loads its data: it is asked again",
            Self::Sentinel => "the broker is a sentinel: give the addresses of the servers",
            Self::MasterAt { host, port } => {
                return write!(f, "the broker is a replica of {host}:{port}, which is used");
            }
            Self::Replica => "the broker is a replica: give the address of the master, or allow the user ROLE",
            Self::SlowConsumer => {
                "the broker has cut a slow consumer: give this host more processor time, or the broker a larger buffer"
            }
            Self::Stale => "the broker got no answer of this node in time: give this host more processor time",
            Self::Leaving => "the broker shuts down: another one is used",
            Self::ClosedAtOnce => "the broker closed the connection at once: see its log, and whether it wants TLS",
            Self::Closed => "the broker closed the connection: see its log",
            Self::Silent => {
                "the broker does not answer: see whether it hangs, and whether the scheme and the port are right"
            }
            Self::Protocol(text) => return write!(f, "the broker and this node do not understand each other: {text}"),
        })
    }
}
