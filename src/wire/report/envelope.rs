//! Envelopes: datagrams of other hosts, on their way over loopback.
//!
//! Owns their format. Of the processes of a host only one receives a datagram that comes by unicast, so it passes the bytes
//! on to its siblings, with the address that they came from:
//!
//! ```text
//! "AP" version:u8 flags:u8 scope:u64 length:u8 passer:u64 ip:u128 port:u16 [more] datagram  [HMAC-SHA-256: 16 bytes]
//! ```
//!
//! The first bit of `flags` says that there is a seal, over all bytes before it. `length` is the number of bytes from there to
//! the datagram. A later version may add fields there, and this one skips them. Scope and seal are those of loopback;
//! the datagram has its own inside.
//!
//! Invariant: an envelope that opens holds the very bytes that were received. It judges none of them.

use super::reader::Reader;
use super::writer::Writer;
use super::{DATAGRAM_MAX, Dropped, SEALED, Scope, seal, unseal};
use crate::meter::news::{Address, NodeId};
use crate::wire::seal::SEAL_BYTES;

const MAGIC: [u8; 2] = *b"AP";
const VERSION: u8 = 1;

/// The bytes of the fields between their length and the datagram.
const FIELDS: u8 = 8 + 16 + 2;

/// The longest envelope in bytes. It stays on loopback, which carries 65,536.
pub const ENVELOPE_MAX: usize = 2 + 1 + 1 + 8 + 1 + FIELDS as usize + DATAGRAM_MAX + SEAL_BYTES;

/// A datagram of another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The node that received it, and passes it on.
    pub passer: NodeId,
    /// Where it came from.
    pub address: Address,
    /// Its bytes.
    pub datagram: &'a [u8],
}

/// Whether the bytes call themselves an envelope.
#[must_use]
pub fn is_envelope(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The bytes of an envelope, in the scope of loopback.
#[must_use]
pub fn enclose(envelope: &Envelope<'_>, loopback: &Scope) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(ENVELOPE_MAX));
    out.0.extend_from_slice(&MAGIC);
    out.0.extend_from_slice(&[VERSION, if loopback.keys.is_empty() { 0 } else { SEALED }]);
    out.fixed(loopback.id);
    out.byte(FIELDS);
    out.fixed(envelope.passer.0);
    out.0.extend_from_slice(&envelope.address.ip.to_le_bytes());
    out.0.extend_from_slice(&envelope.address.port.to_le_bytes());
    out.0.extend_from_slice(envelope.datagram);
    seal(out.0, loopback)
}

/// The envelope that the bytes are, in the scope of loopback.
///
/// # Errors
/// Why they are dropped.
pub fn open<'a>(bytes: &'a [u8], loopback: &Scope) -> Result<Envelope<'a>, Dropped> {
    let mut head = Reader(bytes.strip_prefix(&MAGIC).ok_or(Dropped::Malformed)?);
    if head.byte()? != VERSION {
        return Err(Dropped::ForeignVersion);
    }
    let mut body = unseal(bytes, head, loopback)?;
    let length = usize::from(body.byte()?);
    let (fields, datagram) = body.0.split_at_checked(length).ok_or(Dropped::Malformed)?;
    let (passer, fields) = fields.split_first_chunk().ok_or(Dropped::Malformed)?;
    let (ip, fields) = fields.split_first_chunk().ok_or(Dropped::Malformed)?;
    let (port, _) = fields.split_first_chunk().ok_or(Dropped::Malformed)?;
    let address = Address { ip: u128::from_le_bytes(*ip), port: u16::from_le_bytes(*port) };
    Ok(Envelope { passer: NodeId(u64::from_le_bytes(*passer)), address, datagram })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::report::Keys;

    fn scope(key: Option<&str>) -> Scope {
        Scope { id: 7, keys: Keys::new(key.map(|key| key.as_bytes().to_vec()).into_iter().collect()) }
    }

    fn envelope(datagram: &[u8]) -> Envelope<'_> {
        Envelope { passer: NodeId(u64::MAX - 2), address: Address { ip: 0xffff_0a00_0001, port: 8080 }, datagram }
    }

    #[test]
    fn what_is_passed_on_comes_out_as_it_went_in() {
        for key in [None, Some("a key of 16 bytes")] {
            for datagram in [&b""[..], b"AM", &[0xff; DATAGRAM_MAX]] {
                let bytes = enclose(&envelope(datagram), &scope(key));
                assert!(bytes.len() <= ENVELOPE_MAX && is_envelope(&bytes));
                assert_eq!(open(&bytes, &scope(key)), Ok(envelope(datagram)));
            }
        }
    }

    #[test]
    fn the_bytes_of_an_envelope_are_these_for_ever() {
        let fields = [
            &[0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
            &[1, 0, 0, 10, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x90, 0x1f],
        ];
        let head = [&b"AP"[..], &[1, 0], &[7, 0, 0, 0, 0, 0, 0, 0], &[26]];
        let bytes = enclose(&envelope(b"AB"), &scope(None));
        assert_eq!(bytes, [&head.concat()[..], &fields.concat(), b"AB"].concat());
    }

    #[test]
    fn fields_of_a_later_version_are_skipped() {
        let mut bytes = enclose(&envelope(b"AM"), &scope(None));
        bytes[12] += 3;
        let at = 13 + usize::from(FIELDS);
        bytes.splice(at..at, [1, 2, 3]);
        assert_eq!(open(&bytes, &scope(None)), Ok(envelope(b"AM")));
    }

    #[test]
    fn an_envelope_of_strangers_or_a_part_of_one_is_dropped_for_its_reason() {
        let bytes = enclose(&envelope(b""), &scope(None));
        let sealed = enclose(&envelope(b""), &scope(Some("a key of 16 bytes")));
        assert_eq!(open(&bytes, &Scope { id: 8, keys: Keys::default() }), Err(Dropped::ForeignScope));
        assert_eq!(open(&bytes, &scope(Some("a key of 16 bytes"))), Err(Dropped::Unkeyed));
        assert_eq!(open(&sealed, &scope(Some("another key here"))), Err(Dropped::Forged));
        assert_eq!(open(&sealed, &scope(None)), Err(Dropped::Forged));
        assert_eq!(open(b"AM", &scope(None)), Err(Dropped::Malformed));
        for cut in 2..bytes.len() {
            assert_eq!(open(&bytes[..cut], &scope(None)), Err(Dropped::Malformed), "cut at {cut}");
        }
        let mut foreign = bytes;
        foreign[2] = 2;
        assert_eq!(open(&foreign, &scope(None)), Err(Dropped::ForeignVersion));
        for index in 2..sealed.len() {
            let mut forged = sealed.clone();
            forged[index] ^= 0x40;
            assert!(open(&forged, &scope(Some("a key of 16 bytes"))).is_err(), "byte {index}");
        }
    }
}
