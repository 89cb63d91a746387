//! What came of a broker's bytes.
//!
//! Owns the events of a session. Why one ends is no event.

/// What came of the bytes of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The login and the subscription stand: datagrams may be published.
    Ready,
    /// A datagram of the channel. On Redis it may be the node's own.
    Datagram(&'a [u8]),
    /// Something of the channel can be no datagram and was skipped: it is too long, or has headers. This comes once a session.
    Skipped,
}
