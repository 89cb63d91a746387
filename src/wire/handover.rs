//! What a supervisor and its worker say to each other.
//!
//! Owns the form of their frames: a kind, the length of what follows, and that: `kind:u8 length:u16 bytes`. Both ends are one
//! program, so the form may change with any version. A kind that is unknown is skipped.
//!
//! The supervisor begins with what it hands on, up to [`Frame::Begin`], before the worker exists.
//!
//! Invariant: a frame is whole, or it is left where it is.

use core::net::SocketAddr;

/// The longest text of an error; the log cuts its lines there, too.
const ERROR_MAX: usize = 2_000;

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Down: a socket that is bound, by what it is for, and its descriptor.
    Socket(u8, u32),
    /// Down: the descriptor of the socket on loopback that datagrams come by.
    Loopback(u32),
    /// Down: what is in a file with a secret, by the number of its option.
    Secret(u8, &'a [u8]),
    /// Down: an address of the host that stands at this place of `--cluster-peers`, or after those in `--cluster-addr`.
    Peer(u16, SocketAddr),
    /// Down: all was handed on. Says whether a worker has ever served with these settings.
    Begin(bool),
    /// Down: the figures of the supervisor.
    Figures(Supervision),
    /// Up: the worker turns, and knows of this audience.
    Beat(Served),
    /// Up: the reason for which the worker ends before it is ready.
    Error(&'a str),
}

/// The audience that a process knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// The counted members, at all nodes.
    pub members: u64,
    /// The nodes, this one included.
    pub nodes: u64,
}

/// The figures of a supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supervision {
    /// The workers that were started in the place of others.
    pub restarts: u64,
    /// The places that have no worker that serves.
    pub posts_empty: u64,
}

/// Appends a frame.
pub fn push(out: &mut Vec<u8>, frame: &Frame<'_>) {
    let start = out.len();
    out.extend([0; 3]);
    let kind = match frame {
        Frame::Socket(number, descriptor) => {
            out.push(*number);
            out.extend(descriptor.to_le_bytes());
            0
        }
        Frame::Secret(number, content) => {
            out.push(*number);
            out.extend_from_slice(content);
            1
        }
        Frame::Peer(place, address) => {
            out.extend(place.to_le_bytes());
            out.extend_from_slice(address.to_string().as_bytes());
            2
        }
        Frame::Begin(has_served) => {
            out.push(u8::from(*has_served));
            3
        }
        Frame::Figures(Supervision { restarts, posts_empty }) => {
            out.extend(restarts.to_le_bytes());
            out.extend(posts_empty.to_le_bytes());
            4
        }
        Frame::Loopback(descriptor) => {
            out.extend(descriptor.to_le_bytes());
            7
        }
        Frame::Beat(Served { members, nodes }) => {
            out.extend(members.to_le_bytes());
            out.extend(nodes.to_le_bytes());
            5
        }
        Frame::Error(text) => {
            out.extend_from_slice(text.get(..text.floor_char_boundary(ERROR_MAX)).unwrap_or_default().as_bytes());
            6
        }
    };
    let length = u16::try_from(out.len() - start - 3).unwrap_or(u16::MAX).to_le_bytes();
    for (place, byte) in out.iter_mut().skip(start).zip([kind, length[0], length[1]]) {
        *place = byte;
    }
}

/// Takes the first frame that is known off the bytes; `None` when the rest is no whole frame.
pub fn next<'a>(bytes: &mut &'a [u8]) -> Option<Frame<'a>> {
    loop {
        let (&[kind, low, high], rest) = bytes.split_first_chunk::<3>()?;
        let (body, rest) = rest.split_at_checked(u16::from_le_bytes([low, high]).into())?;
        *bytes = rest;
        if let Some(frame) = parse(kind, body) {
            return Some(frame);
        }
    }
}

fn parse(kind: u8, body: &[u8]) -> Option<Frame<'_>> {
    let text = |bytes| str::from_utf8(bytes).ok();
    Some(match (kind, body) {
        (0, &[number, ref descriptor @ ..]) => Frame::Socket(number, u32::from_le_bytes(descriptor.try_into().ok()?)),
        (1, [number, content @ ..]) => Frame::Secret(*number, content),
        (2, &[low, high, ref address @ ..]) => {
            Frame::Peer(u16::from_le_bytes([low, high]), text(address)?.parse().ok()?)
        }
        (3, &[has_served]) => Frame::Begin(has_served != 0),
        (4, body) => {
            let [restarts, posts_empty] = two_numbers(body)?;
            Frame::Figures(Supervision { restarts, posts_empty })
        }
        (7, body) => Frame::Loopback(u32::from_le_bytes(body.try_into().ok()?)),
        (5, body) => {
            let [members, nodes] = two_numbers(body)?;
            Frame::Beat(Served { members, nodes })
        }
        (6, error) => Frame::Error(text(error)?),
        _ => return None,
    })
}

fn two_numbers(bytes: &[u8]) -> Option<[u64; 2]> {
    let (first, second) = bytes.split_at_checked(8)?;
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).ok();
    Some([number(first)?, number(second)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Frame<'static>> {
        vec![
            Frame::Socket(3, 1_000_000),
            Frame::Loopback(7),
            Frame::Secret(1, b"0123456789abcdef\n"),
            Frame::Secret(0, b""),
            Frame::Peer(300, "[fd00::1%7]:80".parse().unwrap()),
            Frame::Peer(0, "10.0.0.1:65535".parse().unwrap()),
            Frame::Begin(true),
            Frame::Begin(false),
            Frame::Figures(Supervision { restarts: u64::MAX, posts_empty: 3 }),
            Frame::Beat(Served { members: 1 << 40, nodes: 9 }),
            Frame::Error("--port: cannot listen on caf\u{e9}"),
        ]
    }

    #[test]
    fn frames_come_as_they_went_and_in_pieces_too() {
        let mut bytes = Vec::new();
        for frame in frames() {
            push(&mut bytes, &frame);
        }
        let mut rest = &bytes[..];
        for frame in frames() {
            assert_eq!(next(&mut rest), Some(frame));
        }
        assert_eq!((next(&mut rest), rest.len()), (None, 0));
        for cut in 0..bytes.len() {
            let (mut whole, mut rest) = (0, &bytes[..cut]);
            while next(&mut rest).is_some() {
                whole += 1;
            }
            assert!(whole < frames().len() && bytes[..cut].ends_with(rest));
        }
    }

    #[test]
    fn what_is_unknown_or_malformed_is_skipped() {
        for odd in [&[9, 1, 0, 7][..], &[0, 1, 0, 7], &[4, 3, 0, 1, 2, 3], &[6, 1, 0, 0xff], &[2, 3, 0, 0, 0, b'x']] {
            let mut bytes = odd.to_vec();
            push(&mut bytes, &Frame::Beat(Served::default()));
            assert_eq!(next(&mut &bytes[..]), Some(Frame::Beat(Served::default())), "{odd:?}");
        }
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let mut bytes = Vec::new();
        push(&mut bytes, &Frame::Error(&"\u{e9}x".repeat(2_000)));
        let Some(Frame::Error(text)) = next(&mut &bytes[..]) else { panic!("an error") };
        assert!((ERROR_MAX - 1..=ERROR_MAX).contains(&text.len()), "{}", text.len());
    }
}
