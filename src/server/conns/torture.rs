//! Torture: the kernel as it may be on its worst day, so that the tests meet it every day (`--torture <seed>`).
//!
//! Owns the calls by which connections come in, are read and are written, and datagrams are received; while there is no
//! torture, each is the call itself. Under it a read takes a byte, a write takes what it likes, and any of them fails now and
//! then with an error that says nothing about the connection. The option is in no usage text: it is for tests alone.
//!
//! It lies only as the kernel may. A read that claims to have nothing, and a write that claims to have no room, are brought
//! back by level mode. A datagram socket never claims to be empty while it is not: the meter would take those for silent
//! whose news still wait. And none of its sends fail: what a lost datagram does is the simulation's to show.
//!
//! Invariant: the same seed decides the same, for the same calls in the same order. No clock, nothing of the system.

use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};

use crate::reactor::accepted::Accepted;
use crate::reactor::sys;

thread_local! {
    /// Where the sequence of chance stands; `None` is no torture. In no connection, which would grow by it, and handed down
    /// by no caller: the loop is one thread.
    static CHANCE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The most bytes that one of the rare longer reads takes.
const READ_MAX: u64 = 16;

/// What is asked for as a send buffer: the kernel makes the least of it that it has, 4,608 bytes.
const SEND_BUFFER: u16 = 1;

/// From now on this thread's calls are tortured, if there is a seed.
pub(in crate::server) fn begin(seed: Option<u64>) {
    CHANCE.set(seed);
}

/// The send buffer to give to connections where it would be this one.
pub(in crate::server) fn send_buffer(usual: Option<u16>) -> Option<u16> {
    CHANCE.get().map_or(usual, |_| Some(SEND_BUFFER))
}

/// Accepts as [`sys::accept`] does. One of four fails before (`EINTR`, `ECONNABORTED`); the listener's own bound of failures
/// in a row is reached once in 4 billion times.
pub(in crate::server) fn accept(listener: &TcpListener) -> Accepted {
    match draw() {
        Some(drawn) if drawn.is_multiple_of(4) => Accepted::Failed,
        _ => sys::accept(listener),
    }
}

/// Reads as the source does; one byte, as a rule.
pub(in crate::server) fn read(mut source: impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let Some(drawn) = draw() else { return source.read(buffer) };
    fail(drawn)?;
    let most = if (drawn >> 8).is_multiple_of(8) { 1 + (drawn >> 16) % READ_MAX } else { 1 };
    let most = buffer.len().min(usize::try_from(most).unwrap_or(1));
    source.read(buffer.get_mut(..most).unwrap_or_default())
}

/// Writes as the sink does; half of the time some part of it.
pub(in crate::server) fn write(mut sink: impl Write, bytes: &[u8]) -> io::Result<usize> {
    let Some(drawn) = draw() else { return sink.write(bytes) };
    fail(drawn)?;
    sink.write(bytes.get(..part(bytes.len(), drawn >> 8)).unwrap_or_default())
}

/// The same for pieces in a row; what is cut may be any of them.
pub(in crate::server) fn write_vectored(mut sink: impl Write, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let Some(drawn) = draw() else { return sink.write_vectored(pieces) };
    fail(drawn)?;
    let mut left = part(pieces.iter().map(|piece| piece.len()).sum(), drawn >> 8);
    let cut = pieces.iter().map(|piece| {
        let taken = piece.get(..left.min(piece.len())).unwrap_or_default();
        left -= taken.len();
        IoSlice::new(taken)
    });
    sink.write_vectored(&cut.collect::<Vec<_>>())
}

/// Receives a datagram as the socket does, with the address that it came from, or is interrupted.
pub(in crate::server) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match draw() {
        Some(drawn) if drawn.is_multiple_of(8) => Err(ErrorKind::Interrupted.into()),
        _ => socket.recv_from(buffer),
    }
}

/// Fails one of eight calls.
fn fail(drawn: u64) -> io::Result<()> {
    match drawn % 16 {
        0 => Err(ErrorKind::Interrupted.into()),
        1 => Err(ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// How much of `length` bytes is taken: half of the time all, else one at least.
fn part(length: usize, drawn: u64) -> usize {
    let some = 1 + usize::try_from(drawn >> 8).unwrap_or(0) % length.max(1);
    if drawn.is_multiple_of(2) { length } else { some.min(length) }
}

/// The next number of the sequence (`SplitMix64`, by Steele, Lea and Flood), if there is torture.
fn draw() -> Option<u64> {
    let state = CHANCE.get()?.wrapping_add(0x9e37_79b9_7f4a_7c15);
    CHANCE.set(Some(state));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Some(mixed ^ (mixed >> 31))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::listening;
    use std::net::{Ipv4Addr, TcpStream};

    /// What came of each of 1,000 calls.
    fn outcomes(seed: u64, mut call: impl FnMut() -> io::Result<usize>) -> Vec<Result<usize, ErrorKind>> {
        begin(Some(seed));
        (0..1000).map(|_| call().map_err(|error| error.kind())).collect()
    }

    /// Part of the calls failed in either way, and those that did not took what `is_expected` says.
    #[track_caller]
    fn check(outcomes: &[Result<usize, ErrorKind>], is_expected: impl Fn(usize) -> bool) {
        for error in [ErrorKind::Interrupted, ErrorKind::WouldBlock] {
            let failed = outcomes.iter().filter(|&outcome| *outcome == Err(error)).count();
            assert!((30..100).contains(&failed), "{failed} times {error}");
        }
        let unexpected = outcomes.iter().find(|outcome| outcome.is_ok_and(|taken| !is_expected(taken)));
        assert_eq!(unexpected, None);
    }

    #[test]
    fn a_read_takes_a_byte_and_seldom_some_more() {
        let read = || read(&[7; 100][..], &mut [0; 50]);
        let outcomes = outcomes(1, read);
        check(&outcomes, |taken| (1..=16).contains(&taken));
        let single = outcomes.iter().filter(|&&outcome| outcome == Ok(1)).count();
        assert!((700..850).contains(&single), "{single}");
    }

    #[test]
    fn a_write_takes_some_and_what_it_takes_is_the_beginning() {
        let (whole, mut lengths) = (b"abcdefghij", [0; 11]);
        for pieces in [vec![&whole[..]], vec![&whole[..3], &[], &whole[3..4], &whole[4..]]] {
            let pieces: Vec<_> = pieces.into_iter().map(IoSlice::new).collect();
            let outcomes = outcomes(2, || {
                let mut written = Vec::new();
                let count = match pieces.as_slice() {
                    [one] => write(&mut written, one)?,
                    many => write_vectored(&mut written, many)?,
                };
                assert_eq!(written, whole[..count]);
                lengths[count] += 1;
                Ok(count)
            });
            check(&outcomes, |taken| (1..=10).contains(&taken));
        }
        assert!(lengths[1..].iter().all(|&times| times > 40) && lengths[10] > 800, "{lengths:?}");
        begin(Some(2));
        assert!((0..1000).all(|_| write(io::sink(), &[]).unwrap_or(0) == 0));
    }

    #[test]
    fn a_listener_fails_now_and_then_and_loses_no_connection() {
        let listener = listening::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let _waits = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        begin(Some(3));
        let (mut failed, mut taken) = (0, 0);
        for _ in 0..1000 {
            match accept(&listener) {
                Accepted::Failed => failed += 1,
                Accepted::Stream(..) => taken += 1,
                Accepted::NonePending => {}
                Accepted::NoRoom => unreachable!("there is room for one"),
            }
        }
        assert!((200..300).contains(&failed) && taken == 1, "{failed} failed, {taken} taken");
    }

    #[test]
    fn a_datagram_is_never_denied() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        begin(Some(4));
        for _ in 0..100 {
            socket.send_to(&[1, 2, 3], socket.local_addr().unwrap()).unwrap();
            let received = loop {
                match receive(&socket, &mut [0; 10]) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            assert_eq!(received.unwrap(), (3, socket.local_addr().unwrap()));
        }
    }

    #[test]
    fn the_same_seed_decides_the_same() {
        let run = |seed| outcomes(seed, || write(io::sink(), &[0; 1000]));
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
        assert_eq!(send_buffer(Some(4096)), Some(SEND_BUFFER));
        begin(None);
        assert!((0..1000).all(|_| write(io::sink(), &[0; 1000]).unwrap() == 1000));
        assert_eq!(send_buffer(Some(4096)), Some(4096));
    }
}
